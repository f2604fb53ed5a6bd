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

from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import combinations, pairwise
from operator import attrgetter
from typing import Final

from shieldwall.server.storage.sightings import Sighting, SightingKind

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
    if any(_alternations(seen, of) >= ALTERNATIONS for of in (attrgetter("instance_id"), attrgetter("boot_id"))):
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


def _alternations(seen: Sequence[Sighting], of: Callable[[Sighting], str]) -> int:
    """Count the changes between the two that take turns most often, whatever was seen in between.

    A boot that its kernel does not name says nothing.
    """
    stops = [stop for stop in map(of, seen) if stop]
    return max(
        (
            sum(one != other for one, other in pairwise(stop for stop in stops if stop in pair))
            for pair in combinations(dict.fromkeys(stops), 2)
        ),
        default=0,
    )
