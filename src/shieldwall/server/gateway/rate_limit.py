"""Bounds on what anyone may ask without a signature, and on what a single device may ask that costs for good."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final


class TokenBucket:
    """Lets ``rate`` calls a second through on average and ``burst`` at once."""

    def __init__(self, *, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._monotonic = monotonic
        self._tokens = float(burst)
        self._filled_at = monotonic()

    def take(self, cost: int = 1, *, leaving: float = 0.0) -> bool:
        """Take so many tokens; false when they are not there, or when fewer than ``leaving`` would be left."""
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens - cost < leaving:
            return False
        self._tokens -= cost
        return True

    def give_back(self, cost: int = 1) -> None:
        """Take back what was taken for nothing."""
        self._tokens = min(self._burst, self._tokens + cost)


MOST_NAMES: Final = 10_000


class TokenBuckets:
    """A bucket of its own for each name; those that were used longest ago are forgotten, and so are full again."""

    def __init__(
        self, *, rate: float, burst: int, monotonic: Callable[[], float], most_names: int = MOST_NAMES
    ) -> None:
        self._new: Final = partial(TokenBucket, rate=rate, burst=burst, monotonic=monotonic)
        self._most_names: Final = most_names
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, name: str, cost: int = 1) -> bool:
        """Take so many tokens of a name; false when they are not there."""
        bucket = self._buckets.pop(name, None) or self._new()
        self._buckets[name] = bucket  # last in the order, which is that of use
        if len(self._buckets) > self._most_names:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(cost)

    def give_back(self, name: str, cost: int = 1) -> None:
        """Take back what was taken of a name for nothing."""
        if (bucket := self._buckets.get(name)) is not None:
            bucket.give_back(cost)


SHARES: Final = 10
"""Who asks for less than one part in so many asks for little."""


class SharedBucket:
    """One bucket for all, which nobody can empty for the others: half of it is kept for those who ask for little.

    Whoever asks for more gets what is left over; where nobody else asks, that is as much as flows in.
    """

    def __init__(self, *, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._all: Final = TokenBucket(rate=rate, burst=burst, monotonic=monotonic)
        self._kept: Final = burst / 2
        self._little: Final = TokenBuckets(rate=rate / SHARES, burst=max(1, burst // SHARES), monotonic=monotonic)

    def take(self, name: str, cost: int = 1) -> bool:
        """Take so many tokens for a name; false when they are not there for it."""
        if not self._little.take(name, cost):
            return self._all.take(cost, leaving=self._kept)
        if self._all.take(cost):
            return True
        self._little.give_back(name, cost)
        return False
