"""Time that only moves when the next thing happens, and the agenda of what happens next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

START: Final = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
"""A Monday morning."""
HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR
Act: TypeAlias = Callable[[], None]


@dataclass(slots=True)
class VirtualTime:
    """A clock for the server: true time in the simulation. ``seconds`` count from its start."""

    seconds: float = 0.0

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Return seconds as a monotonic clock would."""
        return self.seconds


@dataclass(slots=True)
class DeviceTime:
    """The clock of a device: true time, and how far it is off."""

    true: VirtualTime
    off_seconds: float = 0.0

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return self.true.now() + timedelta(seconds=self.off_seconds)


@dataclass(slots=True)
class Agenda:
    """What is to happen, in the order of time; of two things at one moment the one that was put down first."""

    time: VirtualTime
    _heap: list[tuple[float, int, Act]] = field(default_factory=list)
    _count: int = 0

    def after(self, seconds: float, act: Act) -> None:
        """Put down what shall happen in so many seconds."""
        self._count += 1
        heapq.heappush(self._heap, (self.time.seconds + max(seconds, 0.0), self._count, act))

    def run(self, until: float) -> None:
        """Let happen what there is until that second, and stand there."""
        while self._heap and self._heap[0][0] <= until:
            at, _, act = heapq.heappop(self._heap)
            self.time.seconds = at
            act()
        self.time.seconds = until
