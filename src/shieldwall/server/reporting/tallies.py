"""What each kind of devices adds to the counts of a fleet, laid out so that any slice is added up at once. Pure.

A device counts at some hundred places: its own state, each of its policies, each setting of these. Devices with one
target count at the same places but for few, so a kind is a *base* that it shares, and its *exceptions* to it. The
counts of a slice are then two sums over arrays, whatever the number of its devices.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shieldwall.server.reporting.kinds import Counts, Mask, Numbers, TooVariedError

Slot: TypeAlias = tuple[Hashable, ...]
"""The name of a place where devices are counted."""
Entries: TypeAlias = Mapping[Slot, int]
"""At which places a device counts, and how often."""
UNKNOWN: Final = -1
MOST_ENTRIES: Final = 8_000_000
_Numbers: TypeAlias = NDArray[np.float64] | Counts
_Triples: TypeAlias = tuple[Numbers, Numbers, Numbers]


class Tallies:
    """Where devices of each kind count."""

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self._most = most_entries
        self._slots: dict[Slot, int] = {}
        self._names: list[Slot] = []
        self._about: defaultdict[Hashable, list[int]] = defaultdict(list)
        self._bases: dict[Hashable, int] = {}
        self._entries_of_bases: list[dict[int, int]] = []
        self._base_of_kind: Numbers = np.full(1024, UNKNOWN, dtype=np.int32)
        self._based = _Entries()
        self._excepted = _Entries()

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return 24 * (len(self._based) + len(self._excepted)) + 200 * (len(self._slots) + len(self._bases))

    def names(self) -> Sequence[Slot]:
        """Return the names of all places, in the order of ``add_up``."""
        return self._names

    def unknown(self, kinds: Counts) -> Numbers:
        """Return the kinds that devices are of and nobody explained."""
        self._make_room(len(kinds))
        found: Numbers = np.flatnonzero((self._base_of_kind[: len(kinds)] == UNKNOWN) & (kinds > 0)).astype(np.int32)
        return found

    def explain(self, kind: int, base: Hashable, entries: Entries) -> None:
        """Say where devices of a kind count; the first of a base is what the others are exceptions to.

        Raises:
            TooVariedError: There would be too many exceptions.
        """
        mine = {self._slot(name): times for name, times in entries.items()}
        self._make_room(kind + 1)
        known = self._bases.get(base)
        if known is None:
            known = self._bases[base] = len(self._bases)
            self._entries_of_bases.append(mine)
            self._based.add(known, mine)
        else:
            shared = self._entries_of_bases[known]
            changed = {slot: mine.get(slot, 0) - shared.get(slot, 0) for slot in mine.keys() | shared.keys()}
            self._excepted.add(kind, {slot: times for slot, times in changed.items() if times})
        self._base_of_kind[kind] = known
        if len(self._based) + len(self._excepted) > self._most:
            raise TooVariedError("What devices report is too different to be counted together.")

    def add_up(self, kinds: Counts) -> Counts:
        """Return how often each place is counted by so many devices of each kind; all of them are explained."""
        places = len(self._names)
        return _sum(self._based.arrays(), self._bases_of(kinds), places) + _sum(self._excepted.arrays(), kinds, places)

    def add_up_at(self, places: tuple[int, ...], kinds: Counts) -> list[int]:
        """Return what ``add_up`` says of some places alone, which are given in their order."""
        based, excepted = self._based.at(places), self._excepted.at(places)
        found: Counts = _sum(based, self._bases_of(kinds), len(places)) + _sum(excepted, kinds, len(places))
        return list(map(int, found))

    def places_about(self, about: Hashable) -> tuple[int, ...]:
        """Return the places whose names have more than two parts, of which the second is this one, in their order."""
        return tuple(self._about.get(about, ()))

    def place_of(self, name: Slot) -> int:
        """Return the place of a name in ``add_up``, ``UNKNOWN`` where nobody counts there."""
        return self._slots.get(name, UNKNOWN)

    def which(self, names: Sequence[Slot], kinds: int) -> Numbers:
        """Say of each kind at which of these places it counts, by its number among them; ``UNKNOWN`` at none.

        Devices count at one of them at most.
        """
        self._make_room(kinds)
        wanted = np.full(len(self._names) + 1, UNKNOWN, dtype=np.int32)
        for number, name in enumerate(names):
            place = self.place_of(name)
            if place != UNKNOWN:
                wanted[place] = number
        owners, slots, _ = self._based.arrays()
        of_bases = np.full(len(self._bases) + 1, UNKNOWN, dtype=np.int32)  # the last is that of unknown kinds
        hit = wanted[slots] != UNKNOWN
        of_bases[owners[hit]] = wanted[slots[hit]]
        found: Numbers = of_bases[self._base_of_kind[:kinds]]
        owners, slots, times = self._excepted.arrays()
        hit = (wanted[slots] != UNKNOWN) & (owners < kinds)
        gone, come = hit & (times < 0), hit & (times > 0)
        found[owners[gone]] = UNKNOWN
        found[owners[come]] = wanted[slots[come]]
        return found

    def move(self, moved: Numbers) -> None:
        """Follow kinds to their new numbers; those that are no more have ``UNKNOWN``."""
        self._make_room(len(moved))
        kept = np.flatnonzero(moved != UNKNOWN)
        bases = np.full(max(len(self._base_of_kind), 1024), UNKNOWN, dtype=np.int32)
        bases[moved[kept]] = self._base_of_kind[kept]
        self._base_of_kind = bases
        self._excepted.move(moved)

    def _bases_of(self, kinds: Counts) -> _Numbers:
        """Count the devices of each base."""
        self._make_room(len(kinds))
        base_of_kind = self._base_of_kind[: len(kinds)]
        known = base_of_kind != UNKNOWN
        return np.bincount(base_of_kind[known], weights=kinds[known], minlength=len(self._bases))

    def _slot(self, name: Slot) -> int:
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = len(self._names)
            self._names.append(name)
            if len(name) > 2:
                self._about[name[1]].append(slot)
        return slot

    def _make_room(self, kinds: int) -> None:
        if kinds > len(self._base_of_kind):
            more = np.full(max(kinds, 2 * len(self._base_of_kind)), UNKNOWN, dtype=np.int32)
            more[: len(self._base_of_kind)] = self._base_of_kind
            self._base_of_kind = more


class _Entries:
    """Triples of an owner, a place and how often, as three arrays that grow."""

    def __init__(self) -> None:
        self._parts = array("i"), array("i"), array("i")
        self._arrays: _Triples | None = None
        self._at: dict[tuple[int, ...], _Triples] = {}

    def __len__(self) -> int:
        return len(self._parts[0])

    def add(self, owner: int, entries: Mapping[int, int]) -> None:
        owners, slots, times = self._parts
        owners.extend([owner] * len(entries))
        slots.extend(entries.keys())
        times.extend(entries.values())
        self._changed()

    def arrays(self) -> _Triples:
        if self._arrays is None:
            owners, slots, times = (np.array(part, dtype=np.int32) for part in self._parts)
            self._arrays = owners, slots, times
        return self._arrays

    def at(self, places: tuple[int, ...]) -> _Triples:
        """Return the entries at some places alone, each place as its number among them."""
        found = self._at.get(places)
        if found is None:
            owners, slots, times = self.arrays()
            here: Mask = np.isin(slots, places)
            numbers = np.searchsorted(places, slots[here]).astype(np.int32)
            found = self._at[places] = owners[here], numbers, times[here]
        return found

    def move(self, moved: Numbers) -> None:
        owners, slots, times = self.arrays()
        kept = moved[owners] != UNKNOWN
        self._parts = tuple(array("i", each.tobytes()) for each in (moved[owners][kept], slots[kept], times[kept]))  # type: ignore[assignment]  # of three parts
        self._changed()

    def _changed(self) -> None:
        self._arrays = None
        self._at.clear()


def _sum(entries: _Triples, counts: _Numbers, places: int) -> Counts:
    """Add up at each of so many places how often the owners count there, so many of each."""
    owners, slots, times = entries
    here: Mask = owners < len(counts)
    if not here.all():
        owners, slots, times = owners[here], slots[here], times[here]
    sums = np.bincount(slots, weights=counts[owners] * times, minlength=places)
    found: Counts = np.rint(sums).astype(np.int64)
    return found
