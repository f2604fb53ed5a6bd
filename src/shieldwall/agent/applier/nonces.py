"""Nonces that were given out, each good for one answer, for a few minutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct, field

NONCE_BYTES: Final = 16
MOST: Final = 64
"""Who asks for more drives out their own oldest one."""
LIFE_SECONDS: Final = 120.0


class Nonces(Struct, kw_only=True):
    """Kept in memory alone: after a restart nobody can answer one that was given before it."""

    randomness: Callable[[int], bytes]
    monotonic: Callable[[], float]
    given: dict[str, float] = field(default_factory=dict)

    def give(self) -> str:
        """Give out a new nonce, 32 hexadecimal digits."""
        while len(self.given) >= MOST:
            del self.given[next(iter(self.given))]
        nonce = self.randomness(NONCE_BYTES).hex()
        self.given[nonce] = self.monotonic()
        return nonce

    def spend(self, nonce: str) -> bool:
        """Take back a nonce; false where it was never given, was spent, or is too old."""
        given = self.given.pop(nonce, None)
        return given is not None and self.monotonic() - given <= LIFE_SECONDS
