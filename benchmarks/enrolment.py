"""From ``shieldwall-agent onboard`` to the first policy reported in effect: real programs, real TLS, a real server.

A device is a file system root of its own with mdatp's managed file, and the policy is assigned to all devices. Its
programs are started as its units start them: the applier runs since the package was installed, the agent begins when
there is an identity. The clock starts with the program that onboards, and stops when the server holds a report on the
target the device has: every setting written, read back and compared. On both engines, one after the other. On
PostgreSQL the database's processor time is the server's too, whichever of its processes asks, but for what our own
looks take there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from sqlalchemy import and_, bindparam, create_engine, func, select
from sqlalchemy.pool import StaticPool

from benchmarks.clusters import Storage, on_each_engine
from benchmarks.figures import Bar, Figure, percentile
from benchmarks.gateways import parts
from benchmarks.programs import AGENT, SHIELDWALL, Server, processor_seconds, run, started, unit, wait_until
from shieldwall.server.storage.tables.device_schema import check_ins, devices
from shieldwall.server.storage.tables.schema import status_documents

DEVICES: Final = 20
_BAR: Final = Bar(10)
_POLICY: Final = Path(__file__).parent.parent / "samples" / "policies" / "linux-antivirus.json"
_OS_RELEASE: Final = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
_PERMISSIONS: Final = ("DeviceManagementConfiguration.ReadWrite.All",)
_IN_EFFECT: Final = (
    select(devices.c.id)
    .join(check_ins, check_ins.c.device_id == devices.c.id)
    .join(
        status_documents,
        and_(
            status_documents.c.tenant_id == devices.c.tenant_id,
            status_documents.c.digest == check_ins.c.status_digest,
            status_documents.c.target == check_ins.c.target_digest,
        ),
    )
    .where(devices.c.display_name == bindparam("device"))
)
_ACROSS: Final = {"check_same_thread": False}


@dataclass(frozen=True, slots=True)
class _Device:
    name: str
    home: Path

    @property
    def places(self) -> tuple[str, ...]:
        """What every word to its agent says."""
        return ("--root", str(self.home / "root"), "--state", str(self.home / "state"), "--applier", str(self.socket))

    @property
    def socket(self) -> Path:
        """Where its applier listens."""
        return self.home / "run" / "applier.sock"

    @contextmanager
    def enforcing(self) -> Iterator[None]:
        """Run its applier, as its unit does."""
        command, environment = unit("applier")
        places = ("--root", str(self.home / "root"), "--state", str(self.home / "applier"))
        whom = ("--socket", str(self.socket), "--agent-user", "0")
        with started((*command, *places, *whom), self.home / "applier.log", environment):
            wait_until(self.socket.exists, f"the applier of {self.name}")
            yield

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run its agent, as its unit does."""
        command, environment = unit("agent")
        words = (str(self.home / "root"), str(self.home / "state"), str(self.socket))
        with started((*command, *words), self.home / "agent.log", environment):
            yield

    def prepare(self, number: int) -> None:
        """Lay out its file system."""
        managed = self.home / "root/etc/opt/microsoft/mdatp/managed"
        managed.mkdir(parents=True)
        (self.home / "root/etc/os-release").write_text(_OS_RELEASE)
        (self.home / "root/etc/hostname").write_text(f"{self.name}\n")
        (self.home / "root/etc/machine-id").write_text(f"{number:032x}\n")


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure devices one by one, and all at once, on both engines, one after the other."""
    return on_each_engine(home, lambda there: _measured(there, 3 if quick else DEVICES))


def _measured(there: Storage, devices: int) -> list[Figure]:
    there.home.mkdir()
    server = Server(there.home, admin_port=18463, gateway_port=18464, database=there.words)
    figures = []
    with ExitStack() as stack:
        ours = stack.enter_context(server.running(*_PERMISSIONS))
        looking = stack.enter_context(closing(_Look(there.url or f"sqlite:///{server.data / 'shieldwall.db'}")))
        run(SHIELDWALL, "policy", "import", str(_POLICY), environment=server.environment)
        name = "Linux servers: antivirus"
        run(SHIELDWALL, "policy", "assign", name, "--all-devices", environment=server.environment)
        for label, at_once in (("one by one", 1), (f"{devices} at once", devices)):
            fleet = [_Device(f"{label[0]}-{number}", there.home / label / str(number)) for number in range(devices)]
            for number, device in enumerate(fleet):
                device.prepare(number + at_once * 1_000)
            every = 0.05 * at_once  # whoever asks must not be what is measured
            with ExitStack() as appliers, ThreadPoolExecutor(at_once) as pool:
                for device in fleet:
                    appliers.enter_context(device.enforcing())
                before = _worked(ours, there, looking)
                taken = sorted(pool.map(lambda device, every=every: _enrol(server, looking, device, every), fleet))
                worked = (_worked(ours, there, looking) - before) / devices
            figures += [
                Figure.of(
                    f"enrolled until the first policy is reported in effect, {label}",
                    taken,
                    "s",
                    engine=there.engine,
                    note=f"{worked * 1e3:.0f} ms CPU of {parts(there.engine)} each",
                ),
                Figure(f"… 95th percentile, {label}", percentile(taken, 0.95), "s", engine=there.engine, bar=_BAR),
            ]
    return figures


def _worked(ours: list[int], there: Storage, looking: _Look) -> float:
    return processor_seconds(ours) + there.processor_seconds() - looking.processor_seconds()


def _enrol(server: Server, looking: _Look, device: _Device, every: float) -> float:
    before = time.monotonic()
    run(AGENT, *device.places, "onboard", str(server.package))
    with device.serving():
        wait_until(
            lambda: looking.finds_in_effect(device.name), f"the first report of {device.name}", seconds=120, every=every
        )
        return time.monotonic() - before


class _Look:
    """A look into the server's database over one connection, whose work on PostgreSQL's side is not the server's."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=StaticPool, connect_args=_ACROSS if "sqlite" in url else {})
        self._one_at_a_time = Lock()
        with self._engine.connect() as connection:
            is_apart = connection.dialect.name == "postgresql"
            self._pids = [int(connection.scalar(select(func.pg_backend_pid())) or 0)] if is_apart else []

    def finds_in_effect(self, device: str) -> bool:
        """Say whether the server holds a report of the device on the target that it has."""
        with self._one_at_a_time, self._engine.connect() as connection:
            return connection.scalar(_IN_EFFECT, {"device": device}) is not None

    def processor_seconds(self) -> float:
        """Say what the database worked for these looks, apart from the process of whoever looks."""
        return processor_seconds(self._pids)

    def close(self) -> None:
        """End the connection."""
        self._engine.dispose()
