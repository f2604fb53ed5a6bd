"""What a check finds, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from shieldwall.agent.host.ports import Host
from shieldwall.agent.service.assembly import Surroundings


class Severity(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Check(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One question, and the answer found on this device."""

    id: str
    severity: Severity
    finding: str
    evidence: str = ""
    remedy: str = ""


class Network(Protocol):
    """The steps to a server, one at a time."""

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name. Raises: OSError."""
        ...

    def connect(self, host: str, port: int) -> None:
        """Open a connection and close it. Raises: OSError."""
        ...

    def handshake(self, host: str, port: int, roots: Sequence[str]) -> str:
        """Speak TLS and return its version and the certificate's end. Raises: OSError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The device being examined."""

    host: Host
    surroundings: Surroundings
    network: Network
    free_bytes: Callable[[Path], int]
    mode: Callable[[Path], int]
    running: bool


Examination: TypeAlias = Callable[[Subject], Iterable[Check]]


def ok(check: str, finding: str, evidence: str = "") -> Check:
    """Say that all is well."""
    return Check(id=check, severity=Severity.OK, finding=finding, evidence=evidence)


def warning(check: str, finding: str, *, evidence: str = "", remedy: str) -> Check:
    """Say that something deserves a look."""
    return Check(id=check, severity=Severity.WARNING, finding=finding, evidence=evidence, remedy=remedy)


def error(check: str, finding: str, *, evidence: str = "", remedy: str) -> Check:
    """Say that something keeps the device from being managed or protected."""
    return Check(id=check, severity=Severity.ERROR, finding=finding, evidence=evidence, remedy=remedy)
