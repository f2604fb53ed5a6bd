"""How large a campaign is: seconds in every run of the tests, its full size with ``make campaign``; how far it is."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SEED = int(os.environ.get("CAMPAIGN_SEED", "20261126"))


def size(*, short: int, full: int) -> int:
    """Return how many tries: ``CAMPAIGN`` is ``full``, or a percentage of that; else it is short."""
    wanted = os.environ.get("CAMPAIGN", "")
    if not wanted:
        return short
    return full if wanted == "full" else max(short, full * int(wanted) // 100)


def tries(name: str, count: int) -> Iterator[tuple[int, random.Random]]:
    """Number the tries, each with chance of its own: any of them can be repeated alone by its number."""
    progress = Progress(name=name, total=count)
    for number in range(count):
        yield number, random.Random(SEED * 1_000_003 + number)  # noqa: S311 - tries, not secrets
        progress.one_more()
    progress.end()


def told(name: str, seen: Counter[str]) -> None:
    """Say what came up, so that nobody takes a campaign for one that tried everything."""
    parts = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
    sys.stdout.write(f"{name}: {sum(seen.values())} events: {parts}\n")


def _say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


@dataclass(kw_only=True)
class Progress:
    """Says every half minute how far a campaign is and how long the rest takes, and at its end how long it took.

    In an ordinary run of the tests nobody waits for a campaign, and nothing is said.
    """

    name: str
    total: int
    say: Callable[[str], None] = _say if "CAMPAIGN" in os.environ else lambda _line: None
    monotonic: Callable[[], float] = time.monotonic
    every_seconds: float = 30.0
    done: int = 0
    begun: float = field(init=False)
    said: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.said = self.monotonic()

    def one_more(self) -> None:
        """Count a try that is over."""
        self.done += 1
        now = self.monotonic()
        if now - self.said >= self.every_seconds:
            self.said = now
            left = max(0, self.total - self.done) * (now - self.begun) / self.done
            self.say(f"{self.name}: {self.done} of {self.total} in {now - self.begun:.0f} s, {left:.0f} s to go\n")

    def end(self) -> None:
        """Say how many tries there were and how long they took."""
        self.say(f"{self.name}: {self.done} tries in {self.monotonic() - self.begun:.1f} s\n")
