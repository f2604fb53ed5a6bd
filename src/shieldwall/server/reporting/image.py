"""One tenant's devices as one number each: what is listed of it, together with what it enforces and reported. Pure.

``listed`` holds what lists show and filter by, ``stood`` target, report, system and catalog of active devices that
have a target. A device is of a pair of both. Counters by pair are kept along with every change, so the whole fleet is
counted already, and every slice of it by what is listed, and so is one set of devices that is asked for again and
again; members of groups are looked at one by one. Groups and scope tags are roaring bitmaps of places.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from pyroaring import BitMap

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.server.reporting.counters import Followed, grown, move
from shieldwall.server.reporting.kinds import Counts, Kinds, Mask, Numbers
from shieldwall.server.reporting.places import NOWHERE, Keys, Places
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.fleets.image_rows import LISTED, STOOD, ImageRow

Name = TypeVar("Name", bound=str)
MOST_LISTED: Final = 400_000
MOST_STOOD: Final = 200_000
MOST_PAIRS: Final = 500_000
"""Kinds that are kept; a fleet that has more is left to the database."""
NOTHING: Final = -1
_COMPACT_FROM: Final = 10_000
_ROOM: Final = 1.2


class Chosen(NamedTuple):
    """Devices, counted by kind."""

    listed: Counts
    stood: Counts


class ImageState(NamedTuple):
    """All that an image is made of."""

    keys: Keys
    pair: Numbers
    listed: Sequence[tuple[Any, ...]]
    stood: Sequence[tuple[Any, ...]]
    pairs: Sequence[tuple[Any, ...]]
    groups: Mapping[GroupId, BitMap]
    tagged: Mapping[str, BitMap]


class FleetImage:
    """The devices of a tenant. Not safe to use from several threads at once: whoever holds it has a lock."""

    def __init__(
        self, *, most_listed: int = MOST_LISTED, most_stood: int = MOST_STOOD, most_pairs: int = MOST_PAIRS
    ) -> None:
        self.places: Final = Places()
        self.listed_kinds = Kinds(LISTED, most_listed)
        self.stood_kinds = Kinds(STOOD, most_stood)
        self._pairs = Kinds(("listed", "stood"), most_pairs)
        self._pair: Numbers = np.full(0, NOTHING, dtype=np.int32)
        self._counts: Counts = np.zeros(1024, dtype=np.int64)
        self.groups: Final[dict[GroupId, BitMap]] = {}
        self.tagged: Final[dict[str, BitMap]] = {}
        """Devices by the scope tags that they have themselves."""
        self.version = 0
        """Grows with every change."""
        self._everybody: tuple[int, Chosen] | None = None
        self._followed: Followed | None = None

    @classmethod
    def restored(cls, state: ImageState) -> FleetImage:
        """Make an image of what another one was made of. Raises: TooVariedError."""
        image = cls()
        image.places.restore(state.keys)
        for kinds, values in (
            (image.listed_kinds, state.listed),
            (image.stood_kinds, state.stood),
            (image._pairs, state.pairs),
        ):
            kinds.codes(iter(values))
        image._make_room(len(state.pair))
        image._pair[: len(state.pair)] = state.pair
        image._counts = grown(image._counts, len(state.pairs))
        image._counts += np.bincount(state.pair[state.pair >= 0], minlength=len(image._counts))
        image.groups.update(state.groups)
        image.tagged.update(state.tagged)
        image.version += 1
        return image

    def state(self) -> ImageState:
        """Return all that it is made of."""
        return ImageState(
            keys=self.places.keys(),
            pair=self._pair[: len(self)],
            listed=self.listed_kinds.all(),
            stood=self.stood_kinds.all(),
            pairs=self._pairs.all(),
            groups=self.groups,
            tagged=self.tagged,
        )

    def __len__(self) -> int:
        """Return how many places there are, those of devices that are no more included."""
        return len(self.places)

    @property
    def size(self) -> int:
        """Bytes that the arrays and bitmaps take, roughly."""
        bitmaps = sum(_size_of(bitmap) for bitmap in (*self.groups.values(), *self.tagged.values()))
        kinds = 600 * (len(self.listed_kinds) + len(self.stood_kinds)) + 300 * len(self._pairs)
        return self.places.size + self._pair.nbytes + self._counts.nbytes + bitmaps + kinds

    def load(self, rows: Sequence[ImageRow]) -> None:
        """Take in devices that are all new, as they are read in bulk. Raises: TooVariedError."""
        first = len(self.places)
        self.places.append([row.device_id for row in rows])
        self._make_room(len(self.places))
        listed = self.listed_kinds.codes(row.listed for row in rows).tolist()
        stood = (self._stood_code(row.stood) for row in rows)
        codes = self._pairs.codes(zip(listed, stood, strict=True))
        self._pair[first : first + len(rows)] = codes
        self._counts = grown(self._counts, len(self._pairs))
        self._counts += np.bincount(codes, minlength=len(self._counts))
        self._followed = None
        self.version += 1

    def put(self, row: ImageRow) -> None:
        """Take in what a device is now, whether it was known or not. Raises: TooVariedError."""
        place = self.places.place_of(row.device_id)
        self._make_room(place + 1)
        self._set(place, self._pairs.code((self.listed_kinds.code(row.listed), self._stood_code(row.stood))))

    def remove(self, device_id: DeviceId) -> None:
        """Forget a device that is no more."""
        (place,) = self.places.find([device_id])
        if place != NOWHERE:
            self._set(int(place), NOTHING)
            for members in (*self.groups.values(), *self.tagged.values()):
                members.discard(int(place))

    def set_groups(self, memberships: Mapping[DeviceId, Collection[GroupId]]) -> None:
        """Say in which groups devices are: these and no others."""
        self._set_members(self.groups, memberships)

    def set_tags(self, tags: Mapping[DeviceId, Collection[str]]) -> None:
        """Say which scope tags devices have themselves: these and no others."""
        self._set_members(self.tagged, tags)

    def add_members(self, group: GroupId, places: Numbers) -> None:
        """Add the devices at some places to a group, as they are read in bulk."""
        self.groups.setdefault(group, BitMap()).update(BitMap(places.astype(np.uint32)))
        self.version += 1

    def add_tagged(self, tag: str, device_ids: Sequence[str]) -> None:
        """Add devices that have a scope tag, as they are read in bulk."""
        self.tagged.setdefault(tag, BitMap()).update(self.bitmap_of(device_ids))
        self.version += 1

    def bitmap_of(self, device_ids: Sequence[str]) -> BitMap:
        """Return the places of devices, those that are not known left out."""
        found = self.places.find(device_ids)
        return BitMap(found[found != NOWHERE].astype(np.uint32))

    def everybody(self) -> Chosen:
        """Return the whole fleet, counted."""
        if self._everybody is None or self._everybody[0] != self.version:
            self._everybody = self.version, self._by_kind(self._counts[: len(self._pairs)])
        return self._everybody[1]

    def choose(self, members: BitMap | None, fits: Mask | None) -> Chosen:
        """Count the devices among ``members``, or all, whose listed kind fits."""
        if members is None:
            if fits is None:
                return self.everybody()
            counts = self._counts[: len(self._pairs)]
        else:
            counts = self._count(members)
        return self._by_kind(self._fitting(counts, fits))

    def choose_followed(self, members: BitMap, fits: Mask | None) -> Chosen:
        """Count as ``choose`` does, devices that are asked for again: nobody may change the set meanwhile."""
        if self._followed is None or self._followed.members is not members:
            self._followed = Followed(members, self._count(members))
        counts = self._followed.counts = grown(self._followed.counts, len(self._pairs))
        return self._by_kind(self._fitting(counts[: len(self._pairs)], fits))

    @property
    def everyone(self) -> BitMap:
        """The places of all devices that are there."""
        return BitMap(np.flatnonzero(self._pair[: len(self)] >= 0).astype(np.uint32))

    def where(self, **wanted: Collection[object]) -> Mask:
        """Say of every listed kind whether its values are among those wanted, for every field that is named."""
        found: Mask = np.ones(len(self.listed_kinds), dtype=np.bool_)
        for field, values in wanted.items():
            found &= self.listed_kinds.where(field, lambda value, values=values: value in values)  # type: ignore[misc]  # mypy does not infer lambdas with defaults
        return found

    @property
    def present(self) -> Mask:
        """Say of every listed kind whether it is not a retired one."""
        return self.listed_kinds.where("state", lambda state: state != DeviceState.RETIRED.value)

    def rows(self) -> tuple[Keys, Numbers, Numbers]:
        """Return the ids of all devices that are there, and the listed and the stood kind of each."""
        pairs = self._pair[: len(self)]
        there = pairs >= 0
        listed, stood = self._pairs.numbers("listed"), self._pairs.numbers("stood")
        return self.places.keys()[there], listed[pairs[there]], stood[pairs[there]]

    def compact(self) -> bool:
        """Let go of kinds that nobody is of any more, where they are many; say whether kinds have new numbers."""
        count = len(self._pairs)
        used = self._counts[:count] > 0
        if count < _COMPACT_FROM or int(np.count_nonzero(used)) > count // 2:
            return False
        everybody = self.everybody()
        self.listed_kinds, listed = self.listed_kinds.keeping(everybody.listed > 0)
        self.stood_kinds, stood = self.stood_kinds.keeping(everybody.stood > 0)
        kept, moved = self._pairs.keeping(used)
        self._pairs = Kinds(kept.fields, kept.most)
        for before, then in kept.all():
            self._pairs.code((int(listed[before]), NOTHING if then == NOTHING else int(stood[then])))
        self._pair = np.append(moved, np.int32(NOTHING))[self._pair]
        self._counts = grown(self._counts[:count][used], 1024)
        self._followed = None
        self.version += 1
        return True

    def _count(self, members: BitMap) -> Counts:
        places = np.frombuffer(members.to_array(), dtype=np.uint32)
        pairs = self._pair[places]
        return np.bincount(pairs[pairs >= 0], minlength=len(self._pairs))

    def _fitting(self, counts: Counts, fits: Mask | None) -> Counts:
        return counts if fits is None else counts * fits[self._pairs.numbers("listed")]

    def _by_kind(self, counts: Counts) -> Chosen:
        """Add up pairs by each of their halves; the first place of the latter is that of devices without one."""
        listed = np.bincount(self._pairs.numbers("listed"), weights=counts, minlength=len(self.listed_kinds))
        stood = np.bincount(self._pairs.numbers("stood") + 1, weights=counts, minlength=len(self.stood_kinds) + 1)
        return Chosen(listed.astype(np.int64), stood[1:].astype(np.int64))

    def _stood_code(self, values: tuple[object, ...] | None) -> int:
        return NOTHING if values is None else self.stood_kinds.code(values)

    def _set_members(self, sets: dict[Name, BitMap], named: Mapping[DeviceId, Collection[Name]]) -> None:
        found = self.places.find(list(named))
        here = BitMap(found[found != NOWHERE].astype(np.uint32))
        mine: dict[Name, list[int]] = {}
        for place, names in zip(found.tolist(), named.values(), strict=True):
            for name in names if place != NOWHERE else ():
                mine.setdefault(name, []).append(place)
        for members in sets.values():
            members -= here  # noqa: PLW2901 - in place
        for name, places in mine.items():
            sets.setdefault(name, BitMap()).update(places)
        self.version += 1

    def _set(self, place: int, pair: int) -> None:
        self._counts = grown(self._counts, len(self._pairs))
        move(self._counts, int(self._pair[place]), pair)
        if self._followed is not None and place in self._followed.members:
            self._followed.counts = grown(self._followed.counts, len(self._pairs))
            move(self._followed.counts, int(self._pair[place]), pair)
        self._pair[place] = pair
        self.version += 1

    def _make_room(self, devices: int) -> None:
        if devices > len(self._pair):
            room = np.full(max(int(devices * _ROOM), 1024), NOTHING, dtype=np.int32)
            room[: len(self._pair)] = self._pair
            self._pair = room


def union(bitmaps: Iterable[BitMap]) -> BitMap:
    """Return what is in any of these."""
    found = BitMap()
    for bitmap in bitmaps:
        found |= bitmap
    return found


def _size_of(bitmap: BitMap) -> int:
    found = bitmap.get_statistics()
    return int(found["n_bytes_array_containers"] + found["n_bytes_bitset_containers"] + found["n_bytes_run_containers"])
