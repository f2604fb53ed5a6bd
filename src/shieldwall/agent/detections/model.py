"""One detection, whoever made it: a scan, or the look at a file that is being opened."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Final

import msgspec

_LONGEST_PATH: Final = 4096


class Source(StrEnum):
    """Who looked."""

    SCHEDULED_SCAN = "scheduledScan"
    ON_DEMAND_SCAN = "onDemandScan"
    DEFINITION_UPDATE = "definitionUpdate"
    ON_ACCESS = "onAccess"


class Action(StrEnum):
    """What became of the file or the access."""

    REPORTED = "reported"
    """Nothing else: the device is passive, audits, or the kind of threat is only to be reported."""
    BLOCKED = "blocked"
    """The access was denied; the file is where it was."""
    QUARANTINED = "quarantined"
    FAILED = "failed"
    """It should have been acted on and could not; ``reason`` says why."""


class Opener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The process that opened the file."""

    pid: int
    uid: int | None = None
    executable: str | None = None


class Detection(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """A threat that was found; one line of JSON in the spool."""

    at: str
    """Moment in UTC, RFC 3339."""
    source: Source
    threat: str
    """Name that the engine gives it."""
    path: str
    """Where it lies; bytes that are no UTF-8 stand as ``\\xNN``."""
    action: Action
    engine: str = "clamav"
    sha256: str | None = None
    size: int | None = None
    owner: int | None = None
    """User id that owns the file."""
    scan: str | None = None
    """The scan that found it."""
    quarantine: str | None = None
    """Under which id it lies in quarantine."""
    opener: Opener | None = None
    reason: str = ""


def readable_path(path: str | bytes) -> str:
    """Return a path as text that every reader takes: what is no UTF-8 is written out, what is too long cut."""
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace("\0", "\\x00")[:_LONGEST_PATH]
