"""Admission: what is taken on, what is sent away and until when. Pure arithmetic; time and chance are handed in.

A server that takes on more than it can do ends up doing nothing in time. How much that is nobody can say beforehand,
but it shows: work waits. So the wait is watched as CoDel watches a router's queue (RFC 8289): what counts is the
*shortest* wait of the last tenth of a second. A burst lets some wait, and is worked off; where even the luckiest waited
too long there is a standing queue, and what ends in a second then is all that can be done. From there on the wait is
known before it happens: what is under way, divided by that (Little's law). Whatever is refused before it came to where
others wait is left out of both: strangers can have as much of that as they like.

Then the lanes give way, the least important first, each from a wait of its own on, and the more the longer the wait.
Who is sent away is told when to come back, drawn so that no more come back in a second than can be served then: a
million devices find room within ten minutes, and ten devices within one and a half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shieldwall.server.gateway.lanes import Lane

INTERVAL_SECONDS: Final = 0.1
BOUNDS: Final[Mapping[Lane, float]] = MappingProxyType(
    {Lane.QUIET: 0.25, Lane.NEWS: 0.2, Lane.ENROLMENT: 0.15, Lane.REST: 0.1}
)
"""From a standing wait of so many seconds on a lane gives way, and altogether from twice as long."""
FIRST_BACK: Final = 30
LAST_BACK: Final = 600
"""Seconds between which whoever was sent away comes back."""
SPREAD: Final = 60
"""Over so many seconds those are spread that are sent away at one moment."""
LEAST_PER_SECOND: Final = 50.0
"""What is thought possible of a server of which nothing is known yet."""
ALWAYS_TAKEN: Final = 16
"""So many pieces of work are under way at once without anybody asking how long they wait."""
_PROMISED_SHARE: Final = 0.8
"""Of what can be done, so much is promised to those who come back; others come meanwhile."""
_LEARNT_EACH_INTERVAL: Final = 0.1
_LONGEST_INTERVAL: Final = 2.0
_LAGS: Final = 3


@dataclass(slots=True)
class StandingWait:
    """The shortest wait among what ended in the last interval; where nothing ended, how long that has been so."""

    interval: float = INTERVAL_SECONDS
    _from: float = 0.0
    _shortest: float | None = None
    _last: float = 0.0

    def start(self, now: float) -> None:
        """Begin with nothing that waits."""
        self._from, self._shortest, self._last = now, None, 0.0

    def saw(self, now: float, waited: float) -> None:
        """Note that something came to its end after so many seconds."""
        self.at(now)
        if self._shortest is None or waited < self._shortest:
            self._shortest = waited

    def moved(self, now: float) -> None:
        """Note that something came to its end whose wait says nothing: nobody can say that nothing ends."""
        self.at(now)
        if self._shortest is None:
            self._from = now

    def at(self, now: float) -> float:
        """Say what the wait is now."""
        passed = now - self._from
        if passed >= self.interval:
            if self._shortest is None:
                self._last = passed
            else:
                self._last = self._shortest
                self._from, self._shortest = now, None
        return self._last


@dataclass(slots=True)
class Returns:
    """When those who were sent away come back: as if each took the next free place, give or take a minute.

    ``promised`` is how many have not had their turn yet. It is worked off at the pace at which they can be served.
    """

    promised: float = 0.0
    _at: float = 0.0

    def draw(self, now: float, per_second: float, draw_between: Callable[[int, int], int]) -> int:
        """Say after how many seconds the next one comes back."""
        pace = max(per_second, 1.0)
        self.promised = max(0.0, self.promised - (now - self._at) * pace) + 1
        self._at = now
        first = FIRST_BACK + int(self.promised / pace)
        if first + SPREAD > LAST_BACK:
            return draw_between(FIRST_BACK, LAST_BACK)  # every place is taken: whoever comes too early is sent again
        return draw_between(first, first + SPREAD)


@dataclass(slots=True)
class BusyTime:
    """For how many seconds there was something to do."""

    _worked: float = 0.0
    _since: float = 0.0

    def begin(self, now: float) -> None:
        """Note that there is something to do from now on."""
        self._since = now

    def pause(self, now: float) -> None:
        """Note that there is nothing to do from now on."""
        self._worked += now - self._since

    def at(self, now: float) -> float:
        """Say how many seconds it is by now, while there is something to do."""
        return self._worked + now - self._since


@dataclass(slots=True)
class Pace:
    """How many pieces of work come to their end in a second in which there is always something to do.

    So it goes by ``BusyTime``: by the clock, a server that rests between two batches would know no more of itself than
    how many come.
    """

    interval: float = INTERVAL_SECONDS
    per_second: float = LEAST_PER_SECOND
    is_known: bool = False
    """Whether there ever was more to do than could be done. Until then so much is possible at least."""
    _from: float = 0.0
    _ended: int = 0
    _was_full: bool = False

    def ended(self, now: float, *, is_full: bool) -> None:
        """Count one that ended; ``is_full`` says that even the luckiest waited.

        An interval with room for more teaches nothing but that so much is possible. Were it believed, a server that
        sends away too many would think less of itself, and send away still more. Nor does one interval, in which a disk
        stood still for a moment, say what it can do, or take back what it could before.
        """
        self._ended += 1
        passed = now - self._from
        if passed < self.interval:
            return
        if passed < _LONGEST_INTERVAL:  # else it stood still, which is no pace
            seen = self._ended / passed
            is_found = is_full and self._was_full and not self.is_known
            if is_found and seen > self.per_second:
                self.per_second = seen
            elif is_full or seen > self.per_second:
                self.per_second += (seen - self.per_second) * _LEARNT_EACH_INTERVAL
            self.is_known = self.is_known or is_found
        self._from, self._ended, self._was_full = now, 0, is_full


class Admission:
    """Decides about each request as it comes, and learns from each as it goes. One thread may use it."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        draw_between: Callable[[int, int], int],
        bounds: Mapping[Lane, float] = BOUNDS,
    ) -> None:
        """Start with nothing under way; ``draw_between`` draws a whole number, both ends included."""
        self._monotonic: Final = monotonic
        self._draw_between: Final = draw_between
        self._bounds: Final = bounds
        self._fullness: Final = min(bounds.values())
        self._wait = StandingWait()
        self._returns = Returns()
        self._pace = Pace()
        self._busy = BusyTime()
        self._owed = dict.fromkeys(Lane, 0.0)
        self._lags = [0.0] * _LAGS
        self.under_way = 0
        """How many pieces of work are under way."""
        self.sent_away = dict.fromkeys(Lane, 0)

    @property
    def per_second(self) -> float:
        """How much this server gets done in a second, as far as was seen."""
        return self._pace.per_second

    @property
    def promised(self) -> float:
        """How many that were sent away are still to come back, as far as is known."""
        return self._returns.promised

    @property
    def lag(self) -> float:
        """For how many seconds a request waits until it is looked at."""
        return min(self._lags)

    def lagged(self, seconds: float) -> None:
        """Note how late the loop came to something that was due; of a few such the shortest counts."""
        self._lags = [*self._lags[1:], seconds]

    def wait(self) -> float:
        """Say for how many seconds whatever is taken on now has to wait, at least."""
        if self.under_way < ALWAYS_TAKEN:
            return self.lag
        if self._pace.is_known:
            return max(self.under_way / self._pace.per_second, self.lag)
        return max(self._wait.at(self._monotonic()), self.lag)

    def sends_away(self, lane: Lane) -> int | None:
        """Say after how many seconds a request shall come again; ``None``: it is taken on."""
        bound = self._bounds.get(lane)
        if bound is None:
            return None
        wait = self.wait()
        if wait < bound:
            self._owed[lane] = 0.0
            return None
        # Shares rather than chance: at a share of a quarter it is every fourth, and never three in a row.
        self._owed[lane] += min(1.0, (wait - bound) / bound)
        if self._owed[lane] < 1:
            return None
        self._owed[lane] -= 1
        self.sent_away[lane] += 1
        return self.come_back()

    def come_back(self) -> int:
        """Say after how many seconds somebody shall come again whom this server cannot serve now, whyever."""
        return self._returns.draw(self._monotonic(), self._pace.per_second * _PROMISED_SHARE, self._draw_between)

    def begin(self) -> float:
        """Take on a piece of work whose wait says something about all others; hand to ``end`` what is returned."""
        now = self._monotonic()
        if not self.under_way:
            self._wait.start(now)
            self._busy.begin(now)
        self.under_way += 1
        return now

    def end(self, begun: float, *, refused: bool = False) -> None:
        """Note that a piece of work came to its end, good or bad.

        ``refused`` is what was sent back before it came to where others wait. Its time tells nothing of theirs, and one
        such in each interval would make every wait look short.
        """
        now = self._monotonic()
        busy = self._busy.at(now)
        self.under_way -= 1
        if not self.under_way:
            self._busy.pause(now)
        if refused:
            self._wait.moved(now)
            return
        self._wait.saw(now, now - begun)
        self._pace.ended(busy, is_full=self._wait.at(now) >= self._fullness)
