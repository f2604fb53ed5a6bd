"""Is one identity at work on two machines? Decided from sightings alone; nothing here asks the database.

A machine moves on: it boots, and its boot before never comes back; its hardware changes, and the installation gets a
new id; its disk is set back, and it counts anew, once. Two machines with a copy of one disk go to and fro instead. What
a machine alone can do is never taken for a clone:

* one resync in a day, or several from the same installation: a snapshot was restored;
* ever new boots and ever new installations: it was restarted, or its machine id was made anew.

And what two machines cannot help doing is: resyncs from two installations within a day, or two installations, or two
boots, that take turns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import combinations, pairwise
from operator import attrgetter
from typing import Final

from shieldwall.server.storage.devices.sightings import Sighting, SightingKind

RESYNC_WINDOW: Final = timedelta(hours=24)
ALTERNATIONS: Final = 3
"""There, back, and there again: so many changes between the same two."""


class CloneSign(StrEnum):
    """What gave a clone away."""

    TWO_RESYNCS = "twoResyncs"
    ALTERNATING = "alternating"


def sign_of_clone(history: Sequence[Sighting]) -> CloneSign | None:
    """Look at the sightings of one device, oldest first; ``None`` where one machine explains them all."""
    seen = _since_release(history)
    if _resynced_from_two(seen):
        return CloneSign.TWO_RESYNCS
    if any(_took_turns(seen, of) for of in (attrgetter("instance_id"), attrgetter("boot_id"))):
        return CloneSign.ALTERNATING
    return None


def _since_release(history: Sequence[Sighting]) -> Sequence[Sighting]:
    released = [place for place, each in enumerate(history) if each.kind is SightingKind.RELEASED]
    return history[released[-1] + 1 :] if released else history


def _resynced_from_two(seen: Sequence[Sighting]) -> bool:
    resyncs = [each for each in seen if each.kind is SightingKind.RESYNC]
    return any(
        one.instance_id != other.instance_id and abs(other.at - one.at) < RESYNC_WINDOW
        for one, other in combinations(resyncs, 2)
    )


def _took_turns(seen: Sequence[Sighting], of: Callable[[Sighting], str]) -> bool:
    """Say whether two places took turns, whatever was seen in between.

    A boot that its kernel does not name says nothing. Only what comes back takes turns: whoever speaks from a new place
    every time makes no work here.
    """
    moments: defaultdict[str, list[int]] = defaultdict(list)
    for moment, stop in enumerate(map(of, seen)):
        if stop:
            moments[stop].append(moment)
    came_back = [each for each in moments.values() if len(each) > 1]
    return any(_alternations(one, other) >= ALTERNATIONS for one, other in combinations(came_back, 2))


def _alternations(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the changes between two places, each given by the moments at which it was seen."""
    in_order = sorted([*((moment, "one") for moment in one), *((moment, "other") for moment in other)])
    return sum(before != after for (_, before), (_, after) in pairwise(in_order))
