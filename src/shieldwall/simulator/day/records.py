"""What is written down of a day: a row for each minute, and for each change how fast it reached everybody."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np

from shieldwall.simulator.day.people import Floats, Whole
from shieldwall.simulator.day.plan import DayPlan

MINUTES_AN_HOUR: Final = 60
_BINS: Final = np.concatenate(([0.0], np.geomspace(1e-4, 60.0, 240)))
"""Edges of waiting times, so that percentiles of an hour can be told without keeping each."""


@dataclass(slots=True)
class Minutes:
    """The day by minutes, as columns."""

    check_ins: Whole
    news: Whole
    """Of these, those that brought a new policy."""
    sent_away: Whole
    unheard: Whole
    """Tries that found no place, not even in the kernel's queue; each is a knock."""
    unanswered: Whole
    """Tries while the server was away."""
    backlog: Whole
    """Most that were under way at the end of a second."""
    awake: Whole
    behind: Whole
    """Devices that do not have what they shall enforce."""
    busy: Floats
    """Share of the processors."""
    waits: Whole
    """How many were answered after how long, by ``_BINS``."""

    @classmethod
    def of(cls, size: int) -> Minutes:
        """Make empty columns."""
        whole = {each.name: np.zeros(size, np.int64) for each in fields(cls) if each.name not in {"busy", "waits"}}
        return cls(**whole, busy=np.zeros(size), waits=np.zeros((size, len(_BINS)), np.int64))

    def columns(self) -> list[Whole]:
        """Return all columns."""
        return [getattr(self, each.name) for each in fields(self)]

    def note(self, minute: int, waited: Floats, taken: Whole, has_news: Whole, backlog: int) -> None:
        """Note what became of some arrivals."""
        self.check_ins[minute] += int(taken.sum())
        self.news[minute] += int((taken & has_news).sum())
        self.backlog[minute] = max(int(self.backlog[minute]), backlog)
        places = np.searchsorted(_BINS, waited[taken], side="right") - 1
        np.add.at(self.waits[minute], places, 1)

    def wait(self, share: float, first: int, last: int) -> float:
        """Return the seconds within which so large a share was answered between two minutes; 0 where nobody came."""
        counted = np.cumsum(self.waits[first:last].sum(axis=0))
        if not counted[-1]:
            return 0.0
        place = int(np.searchsorted(counted, share * counted[-1]))
        return float(_BINS[min(place + 1, len(_BINS) - 1)])


@dataclass(slots=True)
class Change:
    """A change, and how long it took to reach those who were awake when it was made."""

    name: str
    at: float
    devices: Whole
    asleep: int
    """Devices that it concerns as well, and that were off: they get it when they come."""
    cpu_seconds: float
    """What the targeting index took for it."""
    _seconds: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Prepare to note each device once."""
        self._seconds = np.full(len(self.devices), np.inf)

    def reached(self, whom: Whole, at: Floats) -> None:
        """Note that devices have what they shall enforce."""
        if not len(whom) or not len(self.devices):
            return
        places = np.minimum(np.searchsorted(self.devices, whom), len(self.devices) - 1)
        mine = self.devices[places] == whom
        places = places[mine]
        self._seconds[places] = np.minimum(self._seconds[places], at[mine] - self.at)

    def close(self) -> None:
        """Bring the times into order; nothing is noted any more."""
        self._seconds = np.sort(self._seconds)

    @property
    def missed(self) -> int:
        """How many were switched off before they came again: they get it another day."""
        return int(np.count_nonzero(np.isinf(self._seconds)))

    def within(self, seconds: float) -> float:
        """Return the share that it reached within so many seconds, of those that came at all."""
        return float(np.count_nonzero(self._seconds <= seconds) / max(len(self._seconds) - self.missed, 1))

    def seconds_for(self, share: float) -> float | None:
        """Return after how many seconds it had reached this share of those that came at all; ``None``: nobody came."""
        came = len(self._seconds) - self.missed
        return float(self._seconds[min(int(share * came), came - 1)]) if came else None


@dataclass(slots=True)
class Herd:
    """Many who come at one time, because they were turned away or switched off together."""

    name: str
    at: float
    size: int
    _waiting: Whole
    """Whether a device is still to be served."""
    _came: Floats
    """When a device came for the first time; infinite before."""
    served_at: float | None = None
    """When the last of them was served."""
    served_seconds: list[Floats] = field(default_factory=list)
    """Seconds from its beginning until each was served."""
    longest: float = 0.0
    """Most seconds from the first time that one of them came until it was served."""

    @classmethod
    def of(cls, name: str, at: float, devices: Whole, fleet: int) -> Herd:
        """Note who is in it."""
        waiting = np.zeros(fleet, np.bool_)
        waiting[devices] = True
        return cls(name, at, len(devices), waiting, np.full(fleet, np.inf))

    @property
    def left(self) -> int:
        """How many are still to be served."""
        return int(np.count_nonzero(self._waiting))

    def seconds_for(self, share: float) -> float | None:
        """Return after how many seconds this share of those that were served was; ``None`` where nobody was."""
        if not self.served_seconds:
            return None
        ordered = np.sort(np.concatenate(self.served_seconds))
        return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])

    def came(self, whom: Whole, at: Floats) -> None:
        """Note that devices came."""
        if self.served_at is None:
            self._came[whom] = np.minimum(self._came[whom], at)

    def served(self, whom: Whole, at: Floats) -> None:
        """Note that devices were served."""
        if self.served_at is not None:
            return
        mine = self._waiting[whom]
        if mine.any():
            self.longest = max(self.longest, float((at[mine] - self._came[whom[mine]]).max()))
            self.served_seconds.append(at[mine] - self.at)
            self._waiting[whom[mine]] = False
            if not self.left:
                self.served_at = float(at[mine].max())

    def lost(self, whom: Whole) -> None:
        """Note that devices were switched off: they come another time."""
        self._waiting[whom] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """How a day went."""

    plan: DayPlan
    minutes: Minutes
    changes: tuple[Change, ...]
    herds: tuple[Herd, ...]
    built_seconds: float
    """Processor time to tell the targeting index of everybody."""
    seconds: float
    cpu_seconds: float
    digest: str
