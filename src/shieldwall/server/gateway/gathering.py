"""What many ask for at about the same time, done at once: one way to the writer and back instead of one for each.

Whoever asks first waits a little for others, but only while others may be expected: somebody who comes alone is served
at once. A device does not mind some milliseconds, and each check-in that shares a commit spares the server a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

LONGEST_SECONDS: Final = 0.05
"""How long somebody waits for the next one at most."""
ALTOGETHER_SECONDS: Final = 1 / 3
"""So long the first one waits in ``Company`` at most, while one after the other comes."""
ENOUGH: Final = 32
"""Where so many come within the longest wait for the next one, nobody waits longer than they need to come."""
MOST: Final = 128
"""So many are enough: the next one starts anew."""
_WEIGHT: Final = 1 / 8


class Pace:
    """Expects the next one from how quickly they came lately (a moving average of the gaps, RFC 6298's weight)."""

    def __init__(self, longest: float = LONGEST_SECONDS) -> None:
        self._longest = longest
        self._gap = self._longest_gap = 10 * longest
        self._last: float | None = None

    def came(self, now: float) -> None:
        """Note that somebody came, at a moment that never goes back."""
        if self._last is not None:
            gap = min(now - self._last, self._longest_gap)  # after a quiet night a few are enough to be busy again
            self._gap += (gap - self._gap) * _WEIGHT
        self._last = now

    @property
    def patience(self) -> float:
        """How many seconds to wait for others: none where nobody is expected to come meanwhile."""
        return min(self._longest, ENOUGH * self._gap) if self._gap < self._longest / 2 else 0.0

    @property
    def is_quick(self) -> bool:
        """Whether ``ENOUGH`` come before the longest wait is over: whoever waits then holds up what is to be done."""
        return ENOUGH * self._gap < self._longest


class Gathering(Generic[Item, Result]):
    """Gathers items on one event loop, and hands them over together; each asker gets its own result."""

    def __init__(
        self,
        carry_out: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        longest: float = LONGEST_SECONDS,
        altogether: float = 0.0,
        most: int = MOST,
    ) -> None:
        """``carry_out`` returns a result for each item, in their order; what it raises, all of them get.

        With 0 for ``longest`` those go together that come in one turn of the loop. With more for ``altogether`` who
        came first waits so many seconds, while one after the other comes; where they come quickly ``ENOUGH`` are.
        """
        self._carry_out = carry_out
        self._altogether = altogether
        self._most = most
        self._pace = Pace(longest)
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._first = self._last = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Return what will be the result; call it on the loop. Who stops waiting holds up nobody."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        self._last = loop.time()
        self._pace.came(self._last)
        if len(self._waiting) >= self._most:
            self._hand_over()
        elif self._handle is None:
            self._first = self._last
            self._handle = loop.call_later(self._pace.patience, self._waited)
        return future

    def _waited(self) -> None:
        """Hand over what has come, unless more may still be waited for."""
        loop = asyncio.get_running_loop()
        until = min(self._last + self._pace.patience, self._first + self._altogether)
        is_enough = self._pace.is_quick and len(self._waiting) >= ENOUGH
        if not is_enough and until > loop.time():
            self._handle = loop.call_at(until, self._waited)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        gathered, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._settle(gathered))
        self._under_way.add(task)  # the loop itself would let go of it
        task.add_done_callback(self._under_way.discard)

    async def _settle(self, gathered: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._carry_out([item for item, _ in gathered])
        except Exception as failure:  # noqa: BLE001 - whatever it is, each asker hears of it
            for _, future in gathered:
                if not future.done():
                    future.set_exception(failure)
            return
        for (_, future), result in zip(gathered, results, strict=True):
            if not future.done():
                future.set_result(result)


class Company:
    """Lets those that come one after the other wait for each other, and then go on in one turn of the loop.

    What each of them is does not matter here. Who waits may have something fetched meanwhile, as a body that arrives:
    nobody wakes the loop for it.
    """

    def __init__(self, *, longest: float = LONGEST_SECONDS, altogether: float = ALTOGETHER_SECONDS) -> None:
        self._waiting: Gathering[None, None] = Gathering(_go_on, longest=longest, altogether=altogether)

    def joined(self) -> Awaitable[None]:
        """Wait for others, as long as they come; who comes alone does not wait."""
        return self._waiting.submit(None)


async def _go_on(waiting: Sequence[None]) -> Sequence[None]:
    return waiting
