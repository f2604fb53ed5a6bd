"""What a target says beside its policies: conflict rules, protection, the order to leave; as a code for each device."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from shieldwall.contract.conflicts import PUBLISHED, ConflictRules
from shieldwall.contract.messages import MANAGED_CODE, UNPROTECTED, Protection
from shieldwall.contract.target import Target
from shieldwall.server.manager.targeting import Aim
from shieldwall.server.targeting.fleet import Fleet, Trait, array_of, bitmap_of
from shieldwall.server.targeting.hashes import Hash, Hasher

_NONE: Final = 0


class _Around(NamedTuple):
    """What decides the surroundings of a target."""

    trait: Trait
    is_protected: bool


class Surroundings:
    """The surroundings of a tenant's devices, each kind of them once."""

    def __init__(self, hasher: Hasher, fleet: Fleet) -> None:
        self._hasher: Final = hasher
        self._fleet: Final = fleet
        self._rules: ConflictRules = PUBLISHED
        self._kinds: list[_Around | None] = [None]
        self._code: dict[_Around, int] = {}
        self._hashes: list[Hash] = [np.zeros(2, np.uint64)]
        self.codes: npt.NDArray[np.uint16] = np.zeros(fleet.board.capacity, np.uint16)

    def settle(self, among: BitMap, protected: BitMap) -> BitMap:
        """Find the surroundings of devices anew, of which some are protected.

        Return those whose are others, or who are known now or no more.
        """
        self._grow()
        places = array_of(among)
        is_protected = np.zeros(len(places), np.bool_)
        is_protected[np.searchsorted(places, array_of(protected))] = True
        kinds = self._fleet.trait_codes[places].astype(np.int64) * 2 + is_protected
        table = np.zeros(2 * len(self._fleet.traits) + 2, np.uint16)
        for kind in np.unique(kinds).tolist():
            table[kind] = self._code_of(_Around(self._fleet.traits[kind >> 1], bool(kind & 1)))
        before: npt.NDArray[np.uint16] = self.codes[places]
        now: npt.NDArray[np.uint16] = table[kinds]
        differs = np.flatnonzero(before != now)
        if not len(differs):
            return BitMap()
        places, before, now = places[differs], before[differs], now[differs]
        hashes = np.stack(self._hashes)
        board = self._fleet.board
        turned: npt.NDArray[np.uint64] = hashes[before] ^ hashes[now]
        board.low[places] ^= turned[:, 0]
        board.high[places] ^= turned[:, 1]
        board.known[places] = np.fromiter(map(_is_sure, self._kinds), np.bool_, len(self._kinds))[now]
        self.codes[places] = now
        return bitmap_of(places)

    def forget(self, gone: BitMap) -> None:
        """Let nothing be known of devices that are gone: should they come again, they begin anew."""
        self._grow()
        places, board = array_of(gone), self._fleet.board
        self.codes[places] = _NONE
        board.low[places] = 0
        board.high[places] = 0
        board.known[places] = False

    def rule(self, rules: ConflictRules) -> BitMap:
        """Take other conflict rules; return the devices for which that makes a difference."""
        self._grow()
        former, self._rules = self._hashes, rules
        self._hashes = [former[0], *(self._hash(each) for each in self._kinds if each is not None)]
        used = self._fleet.board.used
        turned: npt.NDArray[np.uint64] = np.stack(former) ^ np.stack(self._hashes)
        self._fleet.board.low[:used] ^= turned[self.codes[:used], 0]
        self._fleet.board.high[:used] ^= turned[self.codes[:used], 1]
        differs = (turned[:, 0] | turned[:, 1])[self.codes[:used]]
        return bitmap_of(np.flatnonzero(differs)) & self._fleet.everybody

    def _code_of(self, around: _Around) -> int:
        code = self._code.get(around)
        if code is None:
            code = self._code[around] = len(self._kinds)
            self._kinds.append(around)
            self._hashes.append(self._hash(around))
        return code

    def _hash(self, around: _Around) -> Hash:
        return self._hasher.of_surroundings(
            surroundings_of(around.trait, is_protected=around.is_protected, rules=self._rules)
        )

    def _grow(self) -> None:
        capacity = self._fleet.board.capacity
        if len(self.codes) < capacity:
            larger = np.zeros(capacity, np.uint16)
            larger[: len(self.codes)] = self.codes
            self.codes = larger


def surroundings_of(trait: Trait, *, is_protected: bool, rules: ConflictRules) -> Target:
    """Return a target without its items, as ``manager.targeting`` has it."""
    match trait.aim:
        case Aim.LEAVING:
            return Target(items=(), offboard=True)
        case Aim.MANAGED | Aim.DOMAIN_CONTROLLER:
            protection = Protection(tamper=True) if is_protected and trait.understands else UNPROTECTED
            return Target(items=(), conflict_rules=dict(rules), protection=protection)
        case Aim.UNMANAGED | None:
            return Target(items=(), enrollment=trait.enrollment if trait.understands else MANAGED_CODE)


def _is_sure(around: _Around | None) -> bool:
    return around is not None and around.trait.aim is not None and not around.trait.is_unsure
