"""Time as the applier measures it: which boot this is, and how long it has lasted. No setting of a clock changes it.

Deadlines that protect a device must come whatever somebody does to its clock, so none of them is a time of day. A
moment is a boot and seconds since its beginning, sleep included; between moments of two boots nothing is known but that
a restart lies between them.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from shieldwall.agent.host.running_system import boot_id, seconds_since_boot


class Moment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instant: the boot's id, and seconds since that boot began."""

    boot: str
    seconds: float

    def since(self, earlier: Moment) -> float | None:
        """Return the seconds since an earlier moment; ``None`` when a boot lies between."""
        return self.seconds - earlier.seconds if self.boot == earlier.boot else None


class Uptime(Protocol):
    """What tells the moment."""

    def now(self) -> Moment:
        """Return this moment."""
        ...


class ThisBoot:
    """The kernel's own count. It belongs to this process, whatever root the managed system has."""

    def __init__(self) -> None:
        """Know no boot yet."""
        self._boot = ""

    def now(self) -> Moment:
        """See ``Uptime.now``. Without a boot id, as in some sandboxes, all boots look alike; deadlines still come."""
        self._boot = self._boot or boot_id()[:64]  # which no process outlives
        return Moment(boot=self._boot, seconds=seconds_since_boot())
