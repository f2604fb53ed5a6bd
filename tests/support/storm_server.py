"""A real server, as processes of its own, for storms of check-ins: begun, killed, begun again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.check_in_storm import Storm
from tests.support.migrated import migrated_sqlite
from tests.support.ports import free_port
from tests.support.storm_fleet import StormFleet, StormRequest, written

from shieldwall.server.configuration.settings import ServerSettings, authority_of
from shieldwall.server.console.initialise import Initialise
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.system import SystemClock, new_id

SHIELDWALL = Path(sys.executable).with_name("shieldwall")
READY_SECONDS = 60.0


@dataclass
class StormServer:
    """A server in a directory, and the fleet that is enrolled in it."""

    settings: ServerSettings
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    """What stands before the command: ``strace``, for one."""
    started: float = 0.0
    """When it was started last, by the monotonic clock."""
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def made(cls, home: Path, database: str | None = None) -> StormServer:
        """Make a server in ``home``; with a ``database`` of its own, or one in a file."""
        home.mkdir(parents=True, exist_ok=True)
        initialise = Initialise(clock=SystemClock(), new_id=new_id, randomness=os.urandom, tell=lambda _step: None)
        settings = initialise(
            home / "data",
            database=database or migrated_sqlite(home / "storm.db"),
            public_url=f"https://localhost:{free_port()}",
            gateway_url=f"https://localhost:{free_port()}",
            listen="127.0.0.1",
            tenant_name="Storm",
            domain="storm.example",
        )
        return cls(settings=settings, log=home / "server.log")

    @property
    def authority(self) -> str:
        """Host and port, as devices name the server."""
        return authority_of(self.settings.gateway_url)

    def enrolled(self, count: int, first: int = 1) -> StormFleet:
        """Enrol a fleet."""
        fleet = StormFleet(tenant_id=self.settings.tenant_id, count=count, first=first)
        with self.database() as database:
            fleet.enrol(database)
        return fleet

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Open its database for a look."""
        with closing(Database(self.settings.database)) as database:
            yield database

    def storm(self, patience: float = 30.0, sources: tuple[str, ...] = ()) -> Storm:
        """Make a client of it."""
        return Storm(port=self.settings.gateway_port, patience=patience, sources=sources)

    def start(self) -> None:
        """Start its processes; nothing is waited for."""
        self.started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, str(SHIELDWALL), "server", "run", "--data", str(self.settings.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )

    def start_if_ended(self) -> None:
        """Be the service manager: a server that ended is started again at once."""
        if self.process is not None and self.process.poll() is not None:
            self.start()

    def until(self, true: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> float:
        """Wait until something is so and say how long it took; the log is shown where it never is."""
        begun = time.monotonic()
        while not true():
            assert time.monotonic() - begun < seconds, f"{what} did not come to pass\n{self.last_lines()}"
            time.sleep(0.02)
        return time.monotonic() - begun

    def last_lines(self, count: int = 30) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-count:])

    def pids(self) -> dict[str, int]:
        """Return its processes by their names: ``server`` and whatever it started."""
        assert self.process is not None
        found = {"server": self.process.pid}
        for pid in _children(self.process.pid):
            found[_name(pid)] = pid
        return found

    def stop(self) -> int:
        """End it as a service manager does, and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        self.process = None
        return status

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it for a while, from when it serves."""
        self.start()
        try:
            self.until(self.serves, "serving")
            yield
        finally:
            if self.process is not None:
                self.stop()

    def is_ready(self) -> bool:
        """Say whether all of its processes came to serve."""
        return '"server_ready"' in self.last_lines(1_000)

    def serves(self) -> bool:
        """Say whether it answers on the port of devices."""
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended\n{self.last_lines()}"
        return bool(_answers(self.settings.gateway_port))


def _answers(port: int) -> bool:
    storm = Storm(port=port, patience=2.0)
    wire = written("GET", "/healthz", f"localhost:{port}", b"", {})
    storm.send(StormRequest(device=0, seq=0, wire=wire, body=b""))
    try:
        while storm.under_way:
            for outcome in storm.outcomes(0.05):
                return outcome.status != 0
    finally:
        storm.close()
    return False


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(each) for each in text.split()]


def _name(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return str(pid)
    module = next((word for word in words if word.startswith("shieldwall.server.")), str(pid))
    return module.rpartition(".")[2].removesuffix("_process")
