"""A machine in memory: its disk, on which a process may die at any write, and what can be said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from shieldwall.agent.host.survey import Survey
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.simulator.core.virtual_time import VirtualTime

_NOBODY = Survey(managers=(), neighbours=())


class KilledError(BaseException):
    """The process ends here, in the middle of whatever it did: no ``except Exception`` holds it up."""


@dataclass(slots=True)
class MemoryDisk:
    """Implements the agent's ``Disk``. ``step`` is called before and after each change, and may raise."""

    files: dict[Path, bytes] = field(default_factory=dict)
    step: Callable[[], None] = lambda: None

    def read(self, path: Path) -> bytes | None:
        """See ``Disk.read``."""
        return self.files.get(path)

    def write(self, path: Path, content: bytes) -> None:
        """See ``Disk.write``."""
        self.step()
        self.files[path] = content
        self.step()

    def remove(self, path: Path) -> None:
        """See ``Disk.remove``."""
        if path in self.files:
            self.step()
            del self.files[path]
            self.step()

    def names(self, directory: Path) -> tuple[str, ...]:
        """See ``Disk.names``."""
        return tuple(sorted(path.name for path in self.files if path.parent == directory))


@dataclass(slots=True)
class MemoryMachine:
    """Implements the agent's ``Machine``. ``serial`` tells its hardware from any other's."""

    time: VirtualTime
    serial: str
    told: DeviceFacts
    boots: int = 1
    up_since: float = 0.0

    def facts(self) -> DeviceFacts:
        """See ``Machine.facts``."""
        return self.told

    def engines(self) -> Mapping[str, str | None]:
        """See ``Machine.engines``."""
        return dict(self.told.providers)

    def survey(self) -> Survey:
        """See ``Machine.survey``: nobody else manages it."""
        return _NOBODY

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        """See ``Machine.hardware``."""
        return HardwareIds(machine_id_hash=digest_of_bytes(f"{tenant_id} {self.serial}".encode()))

    def boot_id(self) -> str:
        """See ``Machine.boot_id``."""
        return f"{self.serial}-{self.boots}"

    def uptime(self) -> float:
        """See ``Machine.uptime``."""
        return self.time.seconds - self.up_since

    def reboot(self) -> None:
        """Start anew."""
        self.boots += 1
        self.up_since = self.time.seconds

    def twin(self, serial: str) -> MemoryMachine:
        """Return another machine that says the same of itself, onto which a disk was copied."""
        return replace(self, serial=serial, boots=1, up_since=self.time.seconds)
