"""The devices of a tenant, each at its place: what rules ask of them, what they are to policies, and who they are."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from types import MappingProxyType
from typing import Any, Final, NamedTuple, assert_never
from uuid import UUID

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.contract.messages import MANAGED_CODE
from shieldwall.policy.membership import Attributes, MembershipRule, Value
from shieldwall.policy.rule_tree import KINDS, MEMBER_OF, All, Comparison, Either, Leaf, Negation, Node, Quantified
from shieldwall.server.manager.targeting import Aim
from shieldwall.server.targeting.board import Board, Buffer, Places, id_from, ids_from
from shieldwall.server.targeting.columns import CodedColumn, Column, Verdicts
from shieldwall.server.targeting.texts import IdColumn, TextColumn

PROPERTIES: Final = tuple(name for name in KINDS if name != MEMBER_OF)
_MOST_KEPT: Final = 96
"""Verdicts of leaves that are kept while many rules are asked about the same devices."""


class Trait(NamedTuple):
    """What a device is to its policies, apart from groups and properties."""

    aim: Aim | None
    """``None`` where nothing is aimed at it now: it may not check in."""
    understands: bool
    """Whether it understands whole manifests."""
    enrollment: int = MANAGED_CODE
    stays: bool = True
    """Whether it may belong to dynamic groups."""
    is_unsure: bool = False
    """Whether time decides what it shall enforce, as with troubleshooting: such a device is always computed anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Devices as they are now, in columns: what they are, what rules ask, and who is recorded in which group."""

    ids: Sequence[DeviceId]
    traits: Sequence[Trait]
    attributes: Mapping[str, Sequence[Value]]
    """Every one of ``PROPERTIES``."""
    members: Mapping[GroupId, Sequence[int]] = field(default_factory=lambda: MappingProxyType({}))
    """The numbers, in the order of ``ids``, of those that belong to a group; of groups that a rule decides, none has to
    be named."""


class Fleet:
    """The devices of a tenant."""

    def __init__(
        self, allocate: Callable[[int], Buffer] = bytearray, capacity: int = 0, board: Board | None = None
    ) -> None:
        self._allocate: Final = allocate
        self.board = board or Board.make(capacity, allocate)
        self.columns: dict[str, Column] = {name: _column(name, self.board.capacity) for name in PROPERTIES}
        self.traits: list[Trait] = []
        self.trait_codes: npt.NDArray[np.uint16] = np.zeros(self.board.capacity, np.uint16)
        self._trait_code: dict[Trait, int] = {}
        self.everybody = BitMap()
        self.staying = BitMap()
        self.managed = BitMap()
        self.controllers = BitMap()

    @classmethod
    def of(
        cls,
        board: Board,
        columns: Mapping[str, Column],
        traits: Sequence[Trait],
        trait_codes: npt.NDArray[np.uint16],
        everybody: BitMap,
        *,
        allocate: Callable[[int], Buffer] = bytearray,
    ) -> Fleet:
        """Put together what was kept."""
        fleet = cls(allocate, board=board)
        fleet.columns, fleet.trait_codes = dict(columns), trait_codes
        for trait in traits:
            fleet._code_of(trait)
        fleet.everybody = everybody
        fleet._sort(everybody)
        return fleet

    def __len__(self) -> int:
        """Return how many devices there are."""
        return len(self.everybody)

    def place(self, devices: Devices) -> Places:
        """Take in what devices are, and return the places that they have."""
        ids = ids_from(list(devices.ids))
        places = self.board.find_many(ids)
        new = places < 0
        if new.any():
            while self.board.used + int(new.sum()) > self.board.capacity:
                self._grow()
            places[new] = self.board.add(ids[new])
        for name, column in self.columns.items():
            column.put(places, devices.attributes[name])
        before = self.trait_codes[places]
        now = self.trait_codes[places] = np.fromiter(map(self._code_of, devices.traits), np.uint16, len(devices.traits))
        touched = bitmap_of(places)
        others = bitmap_of(places[before != now]) | (touched - self.everybody)
        if others:
            self.everybody |= others
            self._sort(others)
        return places

    def find(self, devices: Iterable[DeviceId]) -> list[int | None]:
        """Return the place of each of these devices, ``None`` for one that is not there."""
        places = (self.board.find(id_from(each)) for each in devices)
        return [place if place is not None and place in self.everybody else None for place in places]

    def remove(self, devices: Iterable[DeviceId]) -> BitMap:
        """Take devices out, and return the places that they had."""
        gone = self.places_of(list(devices))
        for everywhere in (self.everybody, self.staying, self.managed, self.controllers):
            everywhere.difference_update(gone)
        return gone

    def places_of(self, device_ids: Collection[DeviceId]) -> BitMap:
        """Return the places of those of these devices that are there."""
        if not device_ids:
            return BitMap()
        places = self.board.find_many(ids_from(list(device_ids)))
        return bitmap_of(places[places >= 0]) & self.everybody

    def ids_at(self, places: Iterable[int]) -> list[DeviceId]:
        """Return who is at these places."""
        return [DeviceId(str(UUID(bytes=self.board.ids[place].tobytes()))) for place in places]

    def attributes_at(self, place: int) -> Attributes:
        """Return what rules may ask of the device at a place."""
        return {name: column.value(place) for name, column in self.columns.items()}

    def trait_at(self, place: int) -> Trait:
        """Return what the device at a place is."""
        return self.traits[int(self.trait_codes[place])]

    def _sort(self, touched: BitMap) -> None:
        """Put devices to their like."""
        places = array_of(touched)
        codes = self.trait_codes[places]
        of_trait: tuple[tuple[BitMap, Callable[[Trait], bool]], ...] = (
            (self.staying, lambda trait: trait.stays),
            (self.managed, lambda trait: trait.aim in {Aim.MANAGED, Aim.DOMAIN_CONTROLLER}),
            (self.controllers, lambda trait: trait.aim is Aim.DOMAIN_CONTROLLER),
        )
        for everywhere, belongs in of_trait:
            theirs = np.fromiter(map(belongs, self.traits), np.bool_, len(self.traits))
            everywhere.difference_update(touched)
            everywhere.update(bitmap_of(places[theirs[codes]]))

    def _code_of(self, trait: Trait) -> int:
        code = self._trait_code.get(trait)
        if code is None:
            code = self._trait_code[trait] = len(self.traits)
            self.traits.append(trait)
        return code

    def _grow(self) -> None:
        former, self.board = self.board, self.board.copied(self._allocate)
        for column in self.columns.values():
            column.grow(self.board.capacity)
        codes = np.zeros(self.board.capacity, np.uint16)
        codes[: len(self.trait_codes)] = self.trait_codes
        self.trait_codes = codes
        former.replace()


class Asking:
    """Many rules asked about the same devices: what two of them ask alike is looked up once."""

    def __init__(self, fleet: Fleet, members: Callable[[GroupId], BitMap], places: Places | None = None) -> None:
        self._fleet: Final = fleet
        self._members: Final = members
        self._places: Final = places
        self._known: Final[dict[Leaf, Verdicts]] = {}

    def named_by(self, rule: MembershipRule) -> BitMap:
        """Return the places of those devices that a rule names."""
        named = np.flatnonzero(self._verdicts(rule.root))
        return bitmap_of(named if self._places is None else self._places[named])

    def _verdicts(self, node: Node) -> Verdicts:
        match node:
            case Comparison() | Quantified():
                return self._leaf(node)
            case Negation(part=part):
                return ~self._verdicts(part)
            case All(parts=parts):
                return reduce(np.logical_and, map(self._verdicts, parts))
            case Either(parts=parts):
                return reduce(np.logical_or, map(self._verdicts, parts))
            case _:
                assert_never(node)

    def _leaf(self, leaf: Leaf) -> Verdicts:
        if leaf.name == MEMBER_OF:
            return self._belonging(leaf)
        found = self._known.get(leaf)
        if found is None:
            found = self._fleet.columns[leaf.name].verdicts(leaf, self._places, self._fleet.board.used)
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[leaf] = found
        return found

    def _belonging(self, leaf: Leaf) -> Verdicts:
        """Say who belongs to one of the groups that are named: nothing else can be asked of groups."""
        if not isinstance(leaf, Quantified) or not isinstance(leaf.condition, Comparison):
            raise TypeError("groups are asked for by their ids alone")
        belongs = BitMap()
        for group_id in leaf.condition.values:
            belongs |= self._members(GroupId(str(group_id)))
        verdicts = np.zeros(self._fleet.board.used, np.bool_)
        verdicts[array_of(belongs)] = True
        return verdicts if self._places is None else verdicts[self._places]


def _column(name: str, capacity: int) -> Column:
    """Make a column of the kind that fits a property."""
    match name:
        case "displayName":
            return TextColumn()
        case "deviceId" | "objectId":
            return IdColumn(np.zeros((capacity, 16), np.uint8))
        case _:
            return CodedColumn(capacity)


def bitmap_of(places: npt.NDArray[Any]) -> BitMap:
    """Return a set of places."""
    return BitMap(array("I", places.astype(np.uint32).tobytes()))


def array_of(places: BitMap) -> npt.NDArray[np.uint32]:
    """Return the places of a set in their order."""
    return np.frombuffer(places.to_array(), np.uint32)
