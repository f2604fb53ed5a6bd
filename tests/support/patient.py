"""A device to be examined by the doctor: everything in memory, every trouble at a test's word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from tests.support.memory_host import MemoryHost
from tests.support.simulated_agent import SimulatedAgent

from shieldwall.agent.doctor.examine import Diagnosis, Limits, diagnose
from shieldwall.agent.doctor.model import Check, Severity, Subject
from shieldwall.agent.inspection.model import Inspection
from shieldwall.agent.service.assembly import Surroundings

QUIET = {Severity.OK, Severity.INFO}
DEBIAN = {PurePosixPath("/etc/os-release"): b'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12"\n'}


@dataclass
class MemoryNetwork:
    """Steps that fail where a test says."""

    failing: dict[str, OSError] = field(default_factory=dict)

    ways_out: frozenset[str] = frozenset({"IPv4", "IPv6"})
    addresses: tuple[str, ...] = ("192.0.2.7",)

    def families(self) -> frozenset[str]:
        return self.ways_out

    def resolve(self, host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("gateway.example", 8444)
        self._step("resolve")
        return self.addresses

    def connect(self, host: str, port: int) -> None:
        assert host
        assert port
        self._step("connect")

    def handshake(self, host: str, port: int, roots: Sequence[str]) -> str:
        assert (host, port) == ("gateway.example", 8444)
        assert roots
        self._step("handshake")
        return "TLSv1.3"

    def issuer(self, host: str, port: int) -> str:
        assert (host, port) == ("gateway.example", 8444)
        self._step("issuer")
        return "CN=Corporate Proxy"

    def _step(self, name: str) -> None:
        if name in self.failing:
            raise self.failing[name]


@dataclass
class Patient:
    laptop: SimulatedAgent
    host: MemoryHost = field(default_factory=lambda: MemoryHost(DEBIAN))
    network: MemoryNetwork = field(default_factory=MemoryNetwork)
    free: int = 10**10
    running: bool = True

    surroundings: Surroundings | None = None
    """Others than the laptop's own."""

    def diagnosed(self, *, limits: Limits | None = None, bundle: bool = False) -> Diagnosis:
        found = diagnose(
            Subject(
                host=self.host,
                surroundings=self.surroundings or self.laptop.surroundings,
                network=self.network,
                free_bytes=lambda _path: self.free,
                mode=lambda path: path.stat().st_mode & 0o7777,
                running=self.running,
            ),
            inspect="bundle" if bundle else "checks",
            limits=limits,
        )
        for check in found.checks:
            assert check.finding
            assert check.severity in QUIET or check.remedy, "what is wrong comes with what to do"
        return found

    def examined(self) -> dict[str, Check]:
        return {check.id: check for check in self.diagnosed().checks}

    def having(self, **seen: Any) -> list[Check]:
        """Examine with what the applier sees of the machine; return everything."""
        self.laptop.machine.inspection = Inspection(**seen)
        return list(self.diagnosed().checks)

    def wrong(self) -> set[str]:
        return {name for name, check in self.examined().items() if check.severity not in QUIET} - {"engines"}
