"""What a check finds, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from shieldwall.agent.applier.examination import Examination as RootsView
from shieldwall.agent.applier.protocol import Standing
from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.model import Inspection

if TYPE_CHECKING:
    from shieldwall.agent.service.assembly import Surroundings


class Severity(StrEnum):
    """How bad it is, from good to bad."""

    OK = "ok"
    INFO = "info"
    """Worth knowing; nothing is wrong."""
    WARNING = "warning"
    ERROR = "error"


ORDER: Final = tuple(Severity)


class Check(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One question, and the answer found on this device."""

    id: str
    severity: Severity
    finding: str
    evidence: str = ""
    remedy: str = ""


class Network(Protocol):
    """The steps to a server, one at a time."""

    def families(self) -> frozenset[str]:
        """Return which of ``IPv4`` and ``IPv6`` this machine has a way out by. Sends nothing."""
        ...

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name. Raises: OSError."""
        ...

    def connect(self, host: str, port: int) -> None:
        """Open a connection and close it. Raises: OSError."""
        ...

    def handshake(self, host: str, port: int, roots: Sequence[str]) -> str:
        """Speak TLS and return its version and the certificate's end. Raises: OSError."""
        ...

    def issuer(self, host: str, port: int) -> str:
        """Say who issued the certificate that is shown, believing nothing. Raises: OSError."""
        ...


class Subject(Struct, frozen=True, kw_only=True):
    """The device being examined."""

    host: Host
    surroundings: Surroundings
    network: Network
    free_bytes: Callable[[Path], int]
    mode: Callable[[Path], int]
    running: bool
    is_root: bool = True
    """Whether whoever asks is root, or has its eyes."""
    seen: RootsView | None = None
    """What the applier sees of the machine; ``None`` where it could not be asked."""
    standing: Standing | None = None
    """Where the applier stands."""

    @property
    def inspection(self) -> Inspection:
        """What the applier saw for the doctor; where it was not asked, that is nothing."""
        return (self.seen.inspection if self.seen is not None else None) or Inspection()


Examination: TypeAlias = Callable[[Subject], Iterable[Check]]


def ok(check: str, finding: str, evidence: str = "") -> Check:
    """Say that all is well."""
    return Check(id=check, severity=Severity.OK, finding=finding, evidence=evidence)


def info(check: str, finding: str, evidence: str = "", *, remedy: str = "") -> Check:
    """Say what is worth knowing although nothing is wrong."""
    return Check(id=check, severity=Severity.INFO, finding=finding, evidence=evidence, remedy=remedy)


def warning(check: str, finding: str, *, evidence: str = "", remedy: str) -> Check:
    """Say that something deserves a look."""
    return Check(id=check, severity=Severity.WARNING, finding=finding, evidence=evidence, remedy=remedy)


def error(check: str, finding: str, *, evidence: str = "", remedy: str) -> Check:
    """Say that something keeps the device from being managed or protected."""
    return Check(id=check, severity=Severity.ERROR, finding=finding, evidence=evidence, remedy=remedy)


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """Name the first few, and how many more there are."""
    rest = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
