"""Where all chance of a simulation comes from: a seed, and a name for what is drawn for.

A device that draws once more than before changes nothing for any other device: what fails replays, and what is changed
in one place leaves the rest of a run as it was.
"""

from __future__ import annotations

import random  # noqa: TID251 - this is the source of chance that everyone else takes as a parameter
from typing import TypeAlias

Chance: TypeAlias = random.Random
"""Draws numbers that follow from a seed; nothing secret is made of them."""


def chance_of(seed: int, name: str) -> Chance:
    """Return the stream of this name in a simulation with this seed."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - made-up fleets, nothing secret
