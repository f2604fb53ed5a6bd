"""From ``shieldwall-agent onboard`` to the first policy reported in effect: real programs, real TLS, a real server.

A device is a file system root of its own with mdatp's managed file, and the policy is assigned to all devices. The
clock starts with the program that onboards, and stops when the server holds a report on the target the device has:
every setting written, read back and compared.
"""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.figures import SQLITE, Bar, Figure, percentile
from benchmarks.programs import AGENT, SHIELDWALL, Server, processor_seconds, run, started, wait_until

DEVICES: Final = 20
_BAR: Final = Bar(10)
_POLICY: Final = Path(__file__).parent.parent / "samples" / "policies" / "linux-antivirus.json"
_OS_RELEASE: Final = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
_PERMISSIONS: Final = ("DeviceManagementConfiguration.ReadWrite.All",)
_IN_EFFECT: Final = """
SELECT status_documents.body FROM devices JOIN check_ins ON check_ins.device_id = devices.id
JOIN status_documents ON status_documents.tenant_id = check_ins.tenant_id
    AND status_documents.digest = check_ins.status_digest
WHERE devices.display_name = ? AND instr(status_documents.body, check_ins.target_digest) > 0
"""


@dataclass(frozen=True, slots=True)
class _Device:
    name: str
    home: Path

    @property
    def places(self) -> tuple[str, ...]:
        """What every word to its agent says."""
        return ("--root", str(self.home / "root"), "--state", str(self.home / "state"))

    def prepare(self, number: int) -> None:
        """Lay out its file system."""
        managed = self.home / "root/etc/opt/microsoft/mdatp/managed"
        managed.mkdir(parents=True)
        (self.home / "root/etc/os-release").write_text(_OS_RELEASE)
        (self.home / "root/etc/hostname").write_text(f"{self.name}\n")
        (self.home / "root/etc/machine-id").write_text(f"{number:032x}\n")


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure devices one by one, and all at once."""
    devices, figures = 3 if quick else DEVICES, []
    server = Server(home, admin_port=18463, gateway_port=18464)
    with server.running(*_PERMISSIONS) as ours:
        run(SHIELDWALL, "policy", "import", str(_POLICY), environment=server.environment)
        name = "Linux servers: antivirus"
        run(SHIELDWALL, "policy", "assign", name, "--all-devices", environment=server.environment)
        for label, at_once in (("one by one", 1), (f"{devices} at once", devices)):
            fleet = [_Device(f"{label[0]}-{number}", home / label / str(number)) for number in range(devices)]
            for number, device in enumerate(fleet):
                device.prepare(number + at_once * 1_000)
            every = 0.05 * at_once  # whoever asks must not be what is measured
            before = processor_seconds(ours)
            with ThreadPoolExecutor(at_once) as pool:
                taken = sorted(pool.map(lambda device, every=every: _enrol(server, device, every), fleet))
            worked = (processor_seconds(ours) - before) / devices
            figures += [
                Figure.of(
                    f"enrolled until the first policy is reported in effect, {label}",
                    taken,
                    "s",
                    engine=SQLITE,
                    note=f"{worked * 1e3:.0f} ms CPU of gateway and signer each",
                ),
                Figure(f"… 95th percentile, {label}", percentile(taken, 0.95), "s", engine=SQLITE, bar=_BAR),
            ]
    return figures


def _enrol(server: Server, device: _Device, every: float) -> float:
    before = time.monotonic()
    run(AGENT, "onboard", str(server.package), *device.places)
    with started([AGENT, "run", *device.places], device.home / "agent.log"):
        wait_until(
            lambda: _is_in_effect(server, device), f"the first report of {device.name}", seconds=120, every=every
        )
        return time.monotonic() - before


def _is_in_effect(server: Server, device: _Device) -> bool:
    with closing(sqlite3.connect(f"file:{server.data / 'shieldwall.db'}?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(_IN_EFFECT, (device.name,)).fetchone() is not None
