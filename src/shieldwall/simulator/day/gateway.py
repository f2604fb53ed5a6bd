"""The server of a day: one queue in front of so much processor time, and the gateway's own admission before it.

A check-in is let in or sent away by ``server.gateway.admission``, the very object that the gateway asks, with the time
of the simulation. What is let in is served in the order in which it came; each piece of work takes the processor time
that was measured of it, divided by the number of processors.

Before that stands the kernel: where all places and its queue are taken, whoever comes is not heard, and knocks again.

Seconds in which nobody could have been sent away are computed at once: where fewer are under way than are always
taken, the answer is known without asking.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from shieldwall.server.gateway.admission import ALWAYS_TAKEN, Admission
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.listening.connections import PLACES, QUEUE
from shieldwall.simulator.day.people import Floats, Whole

TAKEN: Final = -1
UNHEARD: Final = -2
_TEACHES: Final = 10
"""Of the seconds that are computed at once every so many-th is shown to the admission all the same: it learns pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Processor time, in microseconds, and how many processors there are for it."""

    quiet: float = 700.0
    """A check-in without news: connection, TLS, signature, row on the disk."""
    news: float = 2_500.0
    """One that brings a new policy: manifest signed, policies fetched, report taken; three requests."""
    sent_away: float = 480.0
    """One that is answered 503: connection and TLS."""
    processors: float = 2.0


@dataclass(frozen=True, slots=True)
class Served:
    """What became of the arrivals of a second, in their order."""

    ended: Floats
    """When it was answered; infinite where it was not heard."""
    retry_after: Whole
    """Seconds to come back after; ``TAKEN`` or ``UNHEARD`` where nobody said any."""


@dataclass(slots=True)
class DayGateway:
    """Serves arrivals. ``draw_between`` draws when those who are sent away come back."""

    costs: Costs
    draw_between: Callable[[int, int], int]
    now: float = 0.0
    busy_until: float = 0.0
    busy_seconds: float = 0.0
    """Processor time that was taken altogether, of all processors."""
    seconds_computed_at_once: int = 0
    _under_way: deque[tuple[float, float]] = field(default_factory=deque)
    """When each that has a place is done, and since when the admission counts it; not a number: it was sent away."""
    _admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        """Start with nothing to do."""
        self.restart()

    def restart(self) -> None:
        """Start as after a restart of the process: nothing is known of the pace."""
        self._under_way.clear()
        self._admission = Admission(monotonic=lambda: self.now, draw_between=self.draw_between)

    @property
    def backlog(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def serve(self, arrivals: Floats, has_news: Whole) -> Served:
        """Serve arrivals in the order of their time."""
        costs = np.where(has_news, self.costs.news, self.costs.quiet) / (1e6 * self.costs.processors)
        ends = _in_turn(arrivals, costs, self.busy_until)
        if self._nobody_waits(arrivals, ends):
            self.seconds_computed_at_once += 1
            if self.seconds_computed_at_once % _TEACHES == 0:
                self._show(arrivals, ends)
            if len(ends):
                self.busy_until = float(ends[-1])
            self.busy_seconds += float(costs.sum()) * self.costs.processors
            return Served(ends, np.full(len(arrivals), TAKEN, np.int64))
        return self._one_by_one(arrivals, has_news, costs)

    def _nobody_waits(self, arrivals: Floats, ends: Floats) -> bool:
        """Say whether at every arrival fewer are under way than are always taken."""
        if self._under_way:
            return False
        under_way = np.arange(len(arrivals)) - np.searchsorted(ends, arrivals, side="right")
        return not len(arrivals) or int(under_way.max()) < ALWAYS_TAKEN

    def _show(self, arrivals: Floats, ends: Floats) -> None:
        admission = self._admission
        for arrived, ended in zip(arrivals.tolist(), ends.tolist(), strict=True):
            self.now = arrived
            begun = admission.begin()
            self.now = ended
            admission.end(begun)

    def _one_by_one(self, arrivals: Floats, has_news: Whole, costs: Floats) -> Served:
        admission, under_way = self._admission, self._under_way
        sent_away_cost = self.costs.sent_away / (1e6 * self.costs.processors)
        ended = np.empty(len(arrivals))
        retry_after = np.full(len(arrivals), TAKEN, np.int64)
        places = PLACES + QUEUE
        busy_until, busy = self.busy_until, 0.0
        lanes = [Lane.NEWS if each else Lane.QUIET for each in has_news.tolist()]
        for number, (arrived, lane, cost) in enumerate(zip(arrivals.tolist(), lanes, costs.tolist(), strict=True)):
            self.settle(arrived)
            if len(under_way) >= places:
                ended[number], retry_after[number] = math.inf, UNHEARD
                continue
            self.now = arrived
            seconds = admission.sends_away(lane)
            if seconds is None:
                begun = admission.begin()
                busy_until = max(busy_until, arrived) + cost
                busy += cost
                under_way.append((busy_until, begun))
                ended[number] = busy_until
            else:
                busy_until = max(busy_until, arrived) + sent_away_cost
                busy += sent_away_cost
                under_way.append((busy_until, math.nan))
                ended[number], retry_after[number] = busy_until, seconds
        self.busy_until = busy_until
        self.busy_seconds += busy * self.costs.processors
        return Served(ended, retry_after)

    def settle(self, until: float) -> None:
        """Let end what ends until then."""
        while self._under_way and self._under_way[0][0] <= until:
            self.now, begun = self._under_way.popleft()
            if begun == begun:  # noqa: PLR0124 - a number: the admission counts it
                self._admission.end(begun)


def _in_turn(arrivals: Floats, costs: Floats, busy_until: float) -> Floats:
    """Return when each is done, if one is served after the other and nobody is sent away."""
    done = np.cumsum(costs)
    begins = np.maximum.accumulate(np.maximum(arrivals - (done - costs), busy_until))
    found: Floats = done + begins
    return found
