"""Counters of devices by the number of their kind, kept along with every change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap

from shieldwall.server.reporting.kinds import Counts


@dataclass(slots=True)
class Followed:
    """A set of devices, none of which leaves it or comes, and how many of them are of each kind."""

    members: BitMap
    counts: Counts


def move(counts: Counts, before: int, then: int) -> None:
    """Count a device among those of another kind than before; a negative number is none."""
    if before >= 0:
        counts[before] -= 1
    if then >= 0:
        counts[then] += 1


def grown(counts: Counts, kinds: int) -> Counts:
    """Return counters with room for so many kinds, and some more."""
    if kinds <= len(counts):
        return counts
    return np.concatenate([counts, np.zeros(max(kinds, 2 * len(counts)) - len(counts), dtype=np.int64)])
