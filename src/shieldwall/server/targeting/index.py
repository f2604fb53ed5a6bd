"""The targeting index of one tenant: who belongs to which group, whom each policy reaches, and what that comes to.

Pure: what it is told comes from its caller, and nothing is read or written. Whatever the order in which it is told of
devices and definitions, it holds what it would hold had it been told of everything at once; a property test says so.

What it computes is what ``manager.targeting`` and ``directory.membership`` say, for many at once: membership of groups
by rules for those that stay, policies by assignments, filters and exclusions for those that are managed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from shieldwall.contract.ids import AssignmentFilterId, DeviceId, GroupId, PolicyId
from shieldwall.policy.membership import MembershipRule
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind
from shieldwall.server.targeting.board import Places, id_from
from shieldwall.server.targeting.definitions import NOTHING_DEFINED, AimedPolicy, Definitions
from shieldwall.server.targeting.fleet import Asking, Devices, Fleet, array_of, bitmap_of
from shieldwall.server.targeting.hashes import Hash, Hasher
from shieldwall.server.targeting.ready_rules import ReadyRules
from shieldwall.server.targeting.surroundings import Surroundings

FEW: Final = 24
"""Devices up to this number are asked about one by one, which costs less than asking each rule about a column."""
_NOBODY: Final = BitMap()


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

    def put(self, devices: Devices) -> BitMap:
        """Take in devices as they are now; return the places of those whose target is another than before."""
        places = self.fleet.place(devices)
        with self.fleet.board.writing():
            return self._place(places, devices)

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

    def hash_of(self, device_id: DeviceId) -> Hash | None:
        """Return the hash of what a device shall enforce, ``None`` where that has to be computed."""
        return self.fleet.board.look(id_from(device_id))

    def named_by(self, rule: MembershipRule) -> BitMap:
        """Return the places of the devices that a rule would name now, of those that may belong to groups."""
        return Asking(self.fleet, self._members).named_by(rule) & self.fleet.staying

    # Devices ----------------------------------------------------------------------------------------------------------

    def _place(self, places: Places, devices: Devices) -> BitMap:
        touched = bitmap_of(places)
        if len(places) <= FEW:
            changed = BitMap()
            recorded: list[set[GroupId]] = [set() for _ in places]
            for group_id, numbers in devices.members.items():
                for number in numbers:
                    recorded[number].add(group_id)
            for place, belongs in zip(places.tolist(), recorded, strict=True):
                changed |= self._place_one(place, belongs)
        else:
            changed = self._place_many(places, touched, devices)
        return changed | self.surroundings.settle(touched, self._protected(touched))

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

    def _place_one(self, place: int, recorded: Collection[GroupId]) -> BitMap:
        """Do the same for one device, by what it was and is."""
        attributes = self.fleet.attributes_at(place)
        belongs = self._rules.groups_of(attributes, recorded, stays=place in self.fleet.staying)
        matched = self._rules.filters_of(attributes)
        moved: set[GroupId] = set()
        for group_id, members in self.members.items():
            if (place in members) is not (group_id in belongs):
                (members.add if group_id in belongs else members.discard)(place)
                moved.add(group_id)
        for filter_id, matching in self.matching.items():
            (matching.add if filter_id in matched else matching.discard)(place)
        wanted = self._rules.policies_of(belongs, matched) if place in self.fleet.managed else frozenset()
        is_controller = place in self.fleet.controllers
        hashes, changed = self.fleet.board.hashes, BitMap()
        for policy_id, reached in self.reached.items():
            policy = self.definitions.policies[policy_id]
            is_wanted = policy_id in wanted and not (is_controller and policy.is_firewall)
            if (place in reached) is not is_wanted:
                (reached.add if is_wanted else reached.discard)(place)
                hashes[place] ^= self._hasher.of_item(policy.item)
                changed.add(place)
        return changed

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
            changed |= self.surroundings.settle(self.fleet.everybody, self._protected(self.fleet.everybody))
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
        whose: npt.NDArray[np.uint32] = array_of(places)
        self.fleet.board.hashes[whose] ^= code

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

    def _in_order(self) -> list[tuple[GroupId, MembershipRule | None]]:
        """Return the groups: those whose rules ask for the members of others last."""
        return self._rules.in_order


def _exchange(everywhere: BitMap, touched: BitMap, now: BitMap) -> None:
    everywhere.difference_update(touched)
    everywhere.update(now)
