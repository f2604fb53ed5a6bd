"""How long to wait: pure arithmetic, so that a thousand devices never come back at once."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.messages import LONGEST_CHECK_IN_SECONDS, SHORTEST_CHECK_IN_SECONDS

RETRY_BASE_SECONDS: Final = 30
RETRY_CAP_SECONDS: Final = 240
"""After a long outage everybody is back this long after the server: with half an hour, the last of a million devices
came half an hour late though the server had long been ready for them (docs/simulator.md)."""
SHORTEST_RETRY_AFTER: Final = 5
LONGEST_RETRY_AFTER: Final = 3_600


def until_next(seconds: int) -> int:
    """Bound what a server asks for: nobody can silence a device, or keep it busy."""
    return min(max(seconds, SHORTEST_CHECK_IN_SECONDS), LONGEST_CHECK_IN_SECONDS)


def after_failure(failures: int, *, chance: float, retry_after_seconds: int | None = None) -> float:
    """Wait after the n-th failure in a row (from 1), ``chance`` drawn from [0, 1).

    Full jitter between nothing and a bound that doubles; a server's Retry-After is honoured within limits and spread by
    a tenth.
    """
    if retry_after_seconds is not None:
        bounded = min(max(retry_after_seconds, SHORTEST_RETRY_AFTER), LONGEST_RETRY_AFTER)
        return min(bounded * (1 + chance / 10), LONGEST_RETRY_AFTER)
    bound = min(RETRY_BASE_SECONDS * (1 << min(max(failures, 1) - 1, 16)), RETRY_CAP_SECONDS)
    return max(chance * bound, 1.0)
