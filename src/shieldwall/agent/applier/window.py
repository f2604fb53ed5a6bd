"""Time for troubleshooting: until it is over, what somebody changes at the device stays. Pure.

The end is a signed moment, and the clock of this machine belongs to whoever works at it. So the time left is counted
down on disk as well: by the seconds this machine has been up, which no setting of the clock touches. Every start of the
machine costs what may have gone uncounted before it. The window closes by whichever of the two ends first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from shieldwall.contract.messages import LONGEST_TROUBLESHOOTING_SECONDS, Manifest
from shieldwall.trust import moments

START_COSTS: Final = 60.0
"""The device is looked at every minute, so that much may have passed uncounted before a machine went down."""


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How much time for troubleshooting is left, at a moment named by the boot and by how long it has lasted."""

    until: str
    seconds_left: float
    boot_id: str
    uptime: float


class Present(Struct, frozen=True, kw_only=True):
    """Now: by a clock that signed documents have corrected, and by the boot and how long it has lasted."""

    time: datetime
    boot_id: str
    uptime: float


def counted(manifest: Manifest, record: Window | None, present: Present) -> Window | None:
    """Return how much time is left now, ``None`` where the manifest gives none.

    Raises:
        ValueError: A moment in the manifest or the record is none; there is no time left then.
    """
    until = manifest.protection.troubleshooting_until
    if until is None:
        return None
    end, issued = moments.parse(until), moments.parse(manifest.issued)
    if record is None or record.until != until:
        left = min((end - max(present.time, issued)).total_seconds(), LONGEST_TROUBLESHOOTING_SECONDS)
    else:
        left = min(record.seconds_left - passed(record, present), (end - present.time).total_seconds())
    return Window(until=until, seconds_left=max(left, 0.0), boot_id=present.boot_id, uptime=present.uptime)


def ends_at(manifest: Manifest, record: Window | None, present: Present) -> datetime | None:
    """Return by when it is over, ``None`` where it is. Raises: ValueError, as ``counted``."""
    until = manifest.protection.troubleshooting_until
    if until is None or record is None or record.until != until:
        return None
    left = record.seconds_left - passed(record, present)
    end = min(moments.parse(until), present.time + timedelta(seconds=left))
    return end if end > present.time else None


def passed(record: Window, present: Present) -> float:
    """Return the seconds that count as passed since the record."""
    if record.boot_id == present.boot_id:
        return max(present.uptime - record.uptime, 0.0)
    return present.uptime + START_COSTS
