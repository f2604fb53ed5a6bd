"""What scans came to: one line of JSON each, as many and for as long as the policy says."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from shieldwall.agent.detections.model import Source
from shieldwall.agent.host.files import replace
from shieldwall.contract.clock import Clock
from shieldwall.contract.kinds import learned

DIRECTORY: Final = PurePosixPath("/var/lib/shieldwall-applier/scans")
FILE: Final = "history.jsonl"


class Ended(StrEnum):
    """How a scan ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It did not begin: another one ran, or the device was never idle."""


class ScanResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One scan."""

    id: str
    kind: str
    source: Source
    started_at: str
    ended_at: str
    ended: Ended
    files: int = 0
    excluded: int = 0
    unreadable: int = 0
    """Files and directories that could not be looked at, ``reasons`` names the first of them."""
    detections: int = 0
    quarantined: int = 0
    engine: str = ""
    reasons: tuple[str, ...] = ()


def record(directory: Path, result: ScanResult, *, clock: Clock, days: int, items: int) -> None:
    """Add a result, and let go of those that are too old or too many. Raises: HostError."""
    oldest = clock.now() - timedelta(days=days)
    kept = [each for each in read(directory) if datetime.fromisoformat(each.ended_at) >= oldest][-(items - 1) :]
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in (*(kept if items > 1 else ()), result))
    replace(directory / FILE, lines, mode=0o640)


def read(directory: Path) -> tuple[ScanResult, ...]:
    """Return the results, the oldest first; lines that make no sense are left out."""
    found: list[ScanResult] = []
    with contextlib.suppress(FileNotFoundError):
        for line in (directory / FILE).read_bytes().split(b"\n"):
            with contextlib.suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(line, type=learned(ScanResult)))
    return tuple(found)


def last(directory: Path, kind: str) -> ScanResult | None:
    """Return the newest result of a kind of scan."""
    return next((each for each in reversed(read(directory)) if each.kind == kind), None)


def load_per_processor() -> float:
    """Return how much is waiting to run, per processor, over the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
