"""A bound on what anyone may ask without a signature."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """Lets ``rate`` calls a second through on average and ``burst`` at once."""

    def __init__(self, *, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._monotonic = monotonic
        self._tokens = float(burst)
        self._filled_at = monotonic()

    def take(self) -> bool:
        """Take one token; false when there is none."""
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
