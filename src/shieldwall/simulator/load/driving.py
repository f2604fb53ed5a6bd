"""Letting a fleet come: evenly for some time, or as a herd that all at once wants to be served and obeys its orders."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from shieldwall.agent.service.delays import after_failure
from shieldwall.simulator.chance import Chance
from shieldwall.simulator.load.client import Answered, Client
from shieldwall.simulator.load.devices import LoadDevice

_BUSY = frozenset({429, 503})
_TAKEN = frozenset({200, 204})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How devices behave."""

    reports: float = 0.0
    """Share of check-ins that bring a report."""
    deaf: float = 0.0
    """Share of answers that nobody hears: the same request comes again."""
    repeated: float = 0.0
    """Share of requests that are sent twice at once."""


@dataclass(slots=True)
class Tally:
    """What came of it so far."""

    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """How long those who were served waited for their answer."""
    reports: int = 0
    served: set[int] = field(default_factory=set)
    longest_from_first_try: float = 0.0
    last_served: float = 0.0
    under_way: int = 0
    served_in: Counter[int] = field(default_factory=Counter)
    """How many were served in each second of the loop's clock."""
    sent_away_in: Counter[int] = field(default_factory=Counter)
    """How many were told to come back, likewise."""

    def note(self, answered: Answered, now: float) -> None:
        """Count an answer that came at ``now``, by the clock of the loop."""
        self.answers[str(answered.status) if answered.status else answered.failure] += 1
        if answered.status in _TAKEN:
            self.seconds.append(answered.seconds)
            self.served_in[int(now)] += 1
        elif answered.status in _BUSY:
            self.sent_away_in[int(now)] += 1

    def served_while_busy(self) -> list[int]:
        """Return how many were served in each of the seconds in which others were sent away."""
        return [self.served_in[second] for second in sorted(self.sent_away_in)]

    def errors(self) -> int:
        """Count the answers that say that the server failed: 5xx but for 503."""
        return sum(count for name, count in self.answers.items() if name.startswith("5") and name != "503")

    def wait(self, share: float) -> float:
        """Return within which time so large a share was answered; 0 where nobody was."""
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


@dataclass(slots=True, kw_only=True)
class Drive:
    """Lets devices come to one server. ``wall`` is the time that requests are signed with."""

    client: Client
    authority: str
    chance: Chance
    manner: Manner
    wall: Callable[[], float]
    most_at_once: int = 256
    hurry: float = 1.0
    """So many times as fast as they are told to, devices come back: for trials that cannot wait for ten minutes."""
    tally: Tally = field(default_factory=Tally)

    async def evenly(self, fleet: list[LoadDevice], *, per_second: float, seconds: float) -> None:
        """Let the devices come in turn, so many a second, whatever becomes of them."""
        loop = asyncio.get_running_loop()
        begun, sent = loop.time(), 0
        running: set[asyncio.Task[None]] = set()
        free = asyncio.Semaphore(self.most_at_once)
        waiting: Iterator[LoadDevice] = iter(())
        while (passed := loop.time() - begun) < seconds:
            for _ in range(int(passed * per_second) - sent):
                device = next(waiting, None)
                if device is None:
                    waiting = iter(fleet)
                    device = next(waiting)
                sent += 1
                if device.first_try is None:  # one that is under way does not come a second time
                    task = asyncio.create_task(self._once(device, free))
                    running.add(task)
                    task.add_done_callback(running.discard)
            await asyncio.sleep(0.005)
        if running:
            await asyncio.wait(running)

    async def herd(self, fleet: list[LoadDevice], *, within: float, most_seconds: float) -> None:
        """Let all come within some seconds; each tries again, as agents do, until it is served."""
        free = asyncio.Semaphore(self.most_at_once)
        try:
            async with asyncio.timeout(most_seconds), asyncio.TaskGroup() as group:
                for device in fleet:
                    group.create_task(self._until_served(device, self.chance.random() * within, free))
        except TimeoutError:
            return  # who is left was not served: the tally says so

    async def _until_served(self, device: LoadDevice, seconds: float, free: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(seconds)
        first = loop.time()
        while True:
            async with free:
                answered = await self._try(device)
            if answered.status in _TAKEN:
                self.tally.last_served = loop.time()
                self.tally.longest_from_first_try = max(self.tally.longest_from_first_try, loop.time() - first)
                return
            device.failures += 1
            wait = after_failure(device.failures, chance=self.chance.random(), retry_after_seconds=answered.retry_after)
            await asyncio.sleep(wait / self.hurry)

    async def _once(self, device: LoadDevice, free: asyncio.Semaphore) -> None:
        device.first_try = self.wall()
        try:
            async with free:
                await self._try(device)
        finally:
            device.first_try = None

    async def _try(self, device: LoadDevice) -> Answered:
        again = device.pending is not None
        body = device.body(with_report=not again and self.chance.random() < self.manner.reports)
        had_report = b'"report":' in body
        wire = device.wire(self.authority, body, self.wall())
        self.tally.under_way += 1
        try:
            if self.chance.random() < self.manner.repeated:
                await self.client.send(wire, deaf=True)
            answered = await self.client.send(wire, deaf=self.chance.random() < self.manner.deaf)
        finally:
            self.tally.under_way -= 1
        self.tally.note(answered, asyncio.get_running_loop().time())
        if answered.status in _TAKEN:
            device.served(answered.status, answered.body, had_report=had_report)
            self.tally.served.add(device.number)
            self.tally.reports += had_report
        elif answered.status and answered.status not in _BUSY:
            device.pending = None  # refused for good: another request follows
        return answered
