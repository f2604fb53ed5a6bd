"""The targeting index of one tenant: who belongs to which group, whom each policy reaches, and what that comes to.

Pure: what it is told comes from its caller, and nothing is read or written. Whatever the order in which it is told of
devices and definitions, it holds what it would hold had it been told of everything at once; a property test says so.

What it computes is what ``manager.targeting`` and ``directory.membership`` say, for many at once: membership of groups
by rules for those that stay, policies by assignments, filters and exclusions for those that are managed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeVar

import numpy as np
from pyroaring import BitMap

from shieldwall.contract.ids import AssignmentFilterId, DeviceId, GroupId, PolicyId
from shieldwall.policy.membership import MembershipRule
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind
from shieldwall.server.targeting.board import Places, id_from
from shieldwall.server.targeting.definitions import NOTHING_DEFINED, AimedPolicy, Definitions
from shieldwall.server.targeting.fleet import Asking, Devices, Fleet, array_of, bitmap_of
from shieldwall.server.targeting.hashes import Hash, Hasher
from shieldwall.server.targeting.ready_rules import NOWHERE, ReadyRules, Standing
from shieldwall.server.targeting.surroundings import Surroundings

FEW: Final = 24
"""Devices up to this number are asked about one by one, which costs less than asking each rule about a column."""
_NOBODY: Final = BitMap()
_Name = TypeVar("_Name", bound=str)


class FleetIndex:
    """One tenant's devices, groups and policies."""

    def __init__(self, hasher: Hasher, fleet: Fleet) -> None:
        self.fleet: Final = fleet
        self.definitions = NOTHING_DEFINED
        self.members: dict[GroupId, BitMap] = {}
        self.matching: dict[AssignmentFilterId, BitMap] = {}
        self.reached: dict[PolicyId, BitMap] = {}
        self._hasher: Final = hasher
        self.surroundings: Final = Surroundings(hasher, fleet)
        self._rules = ReadyRules.of(NOTHING_DEFINED)

    def begin(self) -> None:
        """Find out what each device is to its policies, of a fleet that was there before the index."""
        with self.fleet.board.writing():
            self._surround(self.fleet.everybody)

    def put(self, devices: Devices) -> BitMap:
        """Take in devices as they are now, each once; return the places of those whose target is another than before.

        A few are looked at one by one: what each was, by what was known of it, and what it is now.
        """
        if len(devices.ids) > FEW:
            places = self.fleet.place(devices)
            with self.fleet.board.writing():
                touched = bitmap_of(places)
                return self._place_many(places, touched, devices) | self._surround(touched)
        were = [self._standing(place, self._recorded(place)) for place in self.fleet.find(devices.ids)]
        places = self.fleet.place(devices)
        recorded: list[set[GroupId]] = [set() for _ in were]
        for group_id, numbers in devices.members.items():
            for number in numbers:
                recorded[number].add(group_id)
        with self.fleet.board.writing():
            changed = BitMap()
            for place, was, belongs in zip(places.tolist(), were, recorded, strict=True):
                if self._move(place, was, self._standing(place, belongs)):
                    changed.add(place)
            return changed | self._surround(bitmap_of(places))

    def remove(self, device_ids: Iterable[DeviceId]) -> None:
        """Take devices out that are gone, or whose life here is over."""
        with self.fleet.board.writing():
            gone = self.fleet.remove(device_ids)
            for everywhere in (*self.members.values(), *self.matching.values(), *self.reached.values()):
                everywhere.difference_update(gone)
            self.surroundings.forget(gone)

    def define(self, wanted: Definitions, recorded: Mapping[GroupId, Collection[DeviceId]]) -> BitMap:
        """Take in definitions as they are now; return the places of those whose target is another than before.

        ``recorded`` says who belongs to each group that no rule decides and that was not here, or was decided, before.
        """
        with self.fleet.board.writing():
            before, self.definitions = self.definitions, wanted
            self._rules = ReadyRules.of(wanted, self._rules)
            moved = self._redefine_groups(before, wanted, recorded)
            filtered = self._redefine_filters(before, wanted)
            changed = self._redefine_policies(before, wanted, moved, filtered)
            return changed | self._surround_anew(before, wanted, moved)

    def newly_recorded(self, wanted: Definitions) -> frozenset[GroupId]:
        """Return the groups of which ``define`` has to be told who belongs to them."""
        return frozenset(
            group_id
            for group_id, rule in wanted.groups.items()
            if rule is None and (group_id not in self.members or self.definitions.groups[group_id] is not None)
        )

    @property
    def undecided(self) -> frozenset[GroupId]:
        """The groups that no rule decides."""
        return self._rules.undecided

    def recorded_of(self, device_id: DeviceId) -> frozenset[GroupId]:
        """Return the groups that a device belongs to although no rule says so."""
        return frozenset(self._recorded(self.fleet.find([device_id])[0]))

    def hash_of(self, device_id: DeviceId) -> Hash | None:
        """Return the hash of what a device shall enforce, ``None`` where that has to be computed."""
        return self.fleet.board.look(id_from(device_id))

    def named_by(self, rule: MembershipRule) -> BitMap:
        """Return the places of the devices that a rule would name now, of those that may belong to groups."""
        return Asking(self.fleet, self._members).named_by(rule) & self.fleet.staying

    # Devices ----------------------------------------------------------------------------------------------------------

    def _place_many(self, places: Places, touched: BitMap, devices: Devices) -> BitMap:
        asking = Asking(self.fleet, self._members, places)
        for group_id, rule in self._in_order():
            if rule is None:
                now = bitmap_of(places[np.asarray(devices.members.get(group_id, ()), np.int64)])
            else:
                now = asking.named_by(rule) & self.fleet.staying
            _exchange(self.members[group_id], touched, now)
        for filter_id, rule in self.definitions.filters.items():
            _exchange(self.matching[filter_id], touched, asking.named_by(rule))
        changed = BitMap()
        for policy_id, policy in self.definitions.policies.items():
            changed |= self._exchange_reached(policy_id, policy, touched)
        return changed

    def _recorded(self, place: int | None) -> set[GroupId]:
        """Return the groups that a device belongs to although no rule says so."""
        if place is None:
            return set()
        return {group_id for group_id in self._rules.undecided if place in self.members[group_id]}

    def _standing(self, place: int | None, recorded: Collection[GroupId]) -> Standing:
        """Return what a device belongs to, by what is known of it; nowhere where it is not there."""
        if place is None or place not in self.fleet.everybody:
            return NOWHERE
        attributes = self.fleet.attributes_at(place)
        belongs = self._rules.groups_of(attributes, recorded, stays=place in self.fleet.staying)
        matched = self._rules.filters_of(attributes)
        reaching = self._rules.policies_of(belongs, matched) if place in self.fleet.managed else frozenset()
        if place in self.fleet.controllers:
            reaching -= self._rules.firewall
        return Standing(belongs, matched, reaching)

    def _move(self, place: int, was: Standing, now: Standing) -> bool:
        """Let a device belong to what it belongs to now; say whether other policies reach it."""
        _cross(self.members, place, was.groups, now.groups)
        _cross(self.matching, place, was.filters, now.filters)
        _cross(self.reached, place, was.policies, now.policies)
        turned = np.zeros(2, np.uint64)
        for policy_id in was.policies ^ now.policies:
            turned ^= self._hasher.of_item(self.definitions.policies[policy_id].item)
        self.fleet.board.low[place] ^= turned[0]
        self.fleet.board.high[place] ^= turned[1]
        return was.policies != now.policies

    # Definitions ------------------------------------------------------------------------------------------------------

    def _redefine_groups(
        self, before: Definitions, wanted: Definitions, recorded: Mapping[GroupId, Collection[DeviceId]]
    ) -> set[GroupId]:
        moved: set[GroupId] = set()
        for group_id in self.members.keys() - wanted.groups.keys():
            if self.members.pop(group_id):
                moved.add(group_id)
        asking = Asking(self.fleet, self._members)
        for group_id, rule in self._in_order():
            is_new = group_id not in self.members
            if rule is None:
                if not is_new and before.groups[group_id] is None:
                    continue
                now = self.fleet.places_of(recorded[group_id])
            elif is_new or before.groups[group_id] != rule or self._rules.asks[group_id] & moved:
                now = asking.named_by(rule) & self.fleet.staying
            else:
                continue
            if now != self.members.get(group_id, _NOBODY):
                moved.add(group_id)
            self.members[group_id] = now
        return moved

    def _redefine_filters(self, before: Definitions, wanted: Definitions) -> set[AssignmentFilterId]:
        moved: set[AssignmentFilterId] = set()
        for filter_id in self.matching.keys() - wanted.filters.keys():
            del self.matching[filter_id]
            moved.add(filter_id)
        asking = Asking(self.fleet, self._members)
        for filter_id, rule in wanted.filters.items():
            if filter_id not in self.matching or before.filters.get(filter_id) != rule:
                self.matching[filter_id] = asking.named_by(rule) & self.fleet.everybody
                moved.add(filter_id)
        return moved

    def _redefine_policies(
        self,
        before: Definitions,
        wanted: Definitions,
        moved: Collection[GroupId],
        filtered: Collection[AssignmentFilterId],
    ) -> BitMap:
        changed = BitMap()
        for policy_id in self.reached.keys() - wanted.policies.keys():
            reached = self.reached.pop(policy_id)
            self._turn(reached, self._hasher.of_item(before.policies[policy_id].item))
            changed |= reached
        for policy_id, policy in wanted.policies.items():
            former = before.policies.get(policy_id)
            reached = self.reached.setdefault(policy_id, BitMap())
            if former is not None and former.item != policy.item:
                self._turn(reached, self._hasher.of_item(former.item) ^ self._hasher.of_item(policy.item))
                changed |= reached
            if (
                former is None
                or former.assignments != policy.assignments
                or former.is_firewall is not policy.is_firewall
                or any(each.group_id in moved or each.filter_id in filtered for each in policy.assignments)
            ):
                changed |= self._exchange_reached(policy_id, policy, self.fleet.everybody)
        return changed

    def _surround_anew(self, before: Definitions, wanted: Definitions, moved: Collection[GroupId]) -> BitMap:
        changed = BitMap()
        if before.conflict_rules != wanted.conflict_rules:
            changed |= self.surroundings.rule(wanted.conflict_rules)
        if before.protection != wanted.protection or wanted.protection.groups.keys() & moved:
            changed |= self._surround(self.fleet.everybody)
        return changed

    # Both -------------------------------------------------------------------------------------------------------------

    def _exchange_reached(self, policy_id: PolicyId, policy: AimedPolicy, among: BitMap) -> BitMap:
        """Let a policy reach whom it shall of these devices; return those of whom that is new, either way."""
        now = self._reach(policy, among)
        reached = self.reached[policy_id]
        changed = (reached & among) ^ now
        if changed:
            reached ^= changed
            self._turn(changed, self._hasher.of_item(policy.item))
        return changed

    def _reach(self, policy: AimedPolicy, among: BitMap) -> BitMap:
        included = BitMap()
        for assignment in policy.assignments:
            if assignment.kind is not AssignmentKind.EXCLUDE:
                included |= self._narrowed(assignment) & among
        for assignment in policy.assignments:
            if assignment.kind is AssignmentKind.EXCLUDE:
                included -= self._named(assignment)
        included &= self.fleet.managed
        if policy.is_firewall:
            included -= self.fleet.controllers
        return included

    def _narrowed(self, assignment: Assignment) -> BitMap:
        named = self._named(assignment)
        matching = _NOBODY if assignment.filter_id is None else self.matching.get(assignment.filter_id, _NOBODY)
        match assignment.filter_kind:
            case FilterKind.NONE:
                return named
            case FilterKind.INCLUDE:
                return named & matching
            case FilterKind.EXCLUDE:
                return named - matching

    def _named(self, assignment: Assignment) -> BitMap:
        if assignment.kind is AssignmentKind.ALL_DEVICES:
            return self.fleet.everybody
        return self._members(assignment.group_id)

    def _turn(self, places: BitMap, code: Hash) -> None:
        """Add a code to the hashes of devices, or take it away: it is the same."""
        whose = array_of(places).astype(np.intp)
        self.fleet.board.low[whose] ^= code[0]
        self.fleet.board.high[whose] ^= code[1]

    def _members(self, group_id: GroupId | None) -> BitMap:
        return _NOBODY if group_id is None else self.members.get(group_id, _NOBODY)

    def _protected(self, among: BitMap) -> BitMap:
        """Return those of these devices that are protected, as ``policy.protection`` says it of one."""
        settings = self.definitions.protection
        on, off = BitMap(), BitMap()
        for group_id, word in settings.groups.items():
            if word:
                on |= self._members(group_id)
            else:
                off |= self._members(group_id)
        protected = on & among
        if settings.enabled:
            protected |= among - on - off
        return protected - self.fleet.places_of(settings.excluded)

    def _surround(self, touched: BitMap) -> BitMap:
        return self.surroundings.settle(touched, self._protected(touched))

    def _in_order(self) -> list[tuple[GroupId, MembershipRule | None]]:
        """Return the groups: those whose rules ask for the members of others last."""
        return self._rules.in_order


def _cross(sets: Mapping[_Name, BitMap], place: int, was: frozenset[_Name], now: frozenset[_Name]) -> None:
    """Take a device out of the sets in which it was, and put it into those in which it is now."""
    for name in was - now:
        sets[name].discard(place)
    for name in now - was:
        sets[name].add(place)


def _exchange(everywhere: BitMap, touched: BitMap, now: BitMap) -> None:
    everywhere.difference_update(touched)
    everywhere.update(now)
