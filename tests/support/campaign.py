"""How large a campaign is: seconds in every run of the tests, its full size with ``make campaign``."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator

SEED = int(os.environ.get("CAMPAIGN_SEED", "20261126"))


def size(*, short: int, full: int) -> int:
    """Return how many tries: ``CAMPAIGN`` is ``full``, or a percentage of that; else it is short."""
    wanted = os.environ.get("CAMPAIGN", "")
    if not wanted:
        return short
    return full if wanted == "full" else max(short, full * int(wanted) // 100)


def tries(count: int) -> Iterator[tuple[int, random.Random]]:
    """Number the tries, each with chance of its own: any of them can be repeated alone by its number."""
    for number in range(count):
        yield number, random.Random(SEED * 1_000_003 + number)  # noqa: S311 - tries, not secrets


def told(name: str, seen: Counter[str]) -> None:
    """Say what came up, so that nobody takes a campaign for one that tried everything."""
    parts = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
    sys.stdout.write(f"{name}: {sum(seen.values())} tries: {parts}\n")
