"""The definitions of a tenant made ready to be asked about one device: which groups, filters and policies are its."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from shieldwall.contract.ids import AssignmentFilterId, GroupId, PolicyId
from shieldwall.policy.membership import MEMBER_OF, Attributes, MembershipRule
from shieldwall.policy.rule_index import RuleIndex
from shieldwall.server.directory.filter_rules import lets_through
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind
from shieldwall.server.targeting.definitions import Definitions

_UNKNOWN: Final = object()


@dataclass(frozen=True, slots=True)
class Standing:
    """What a device belongs to: groups, the filters that it matches, the policies that reach it."""

    groups: frozenset[GroupId] = frozenset()
    filters: frozenset[AssignmentFilterId] = frozenset()
    policies: frozenset[PolicyId] = frozenset()


NOWHERE: Final = Standing()


@dataclass(slots=True)
class _Assigned:
    """The policies assigned to one group, or to all devices, by what it takes to get them."""

    included: set[PolicyId] = field(default_factory=set)
    excluded: set[PolicyId] = field(default_factory=set)
    filtered: list[Assignment] = field(default_factory=list)

    def add(self, assignment: Assignment) -> None:
        """Take one assignment."""
        if assignment.kind is AssignmentKind.EXCLUDE:
            self.excluded.add(assignment.policy_id)
        elif assignment.filter_kind is FilterKind.NONE:
            self.included.add(assignment.policy_id)
        else:
            self.filtered.append(assignment)


@dataclass(slots=True)
class ReadyRules:
    """Made when definitions change; what costs much is made when it is first asked."""

    definitions: Definitions
    in_order: list[tuple[GroupId, MembershipRule | None]]
    """All groups, those whose rules ask for the members of others last."""
    asks: Mapping[GroupId, frozenset[GroupId]]
    """The groups whose members a rule asks for."""
    undecided: frozenset[GroupId]
    """The groups that no rule decides."""
    firewall: frozenset[PolicyId]
    """The policies that domain controllers do not get."""
    _plain: RuleIndex[GroupId] | None = None
    _asking: RuleIndex[GroupId] | None = None
    _filters: RuleIndex[AssignmentFilterId] | None = None
    _asked_for: frozenset[GroupId] = frozenset()
    _by_group: Mapping[GroupId | None, _Assigned] | None = None

    @classmethod
    def of(cls, definitions: Definitions, former: ReadyRules | None = None) -> ReadyRules:
        """Make definitions ready; of ``former`` ones is taken over what is the same."""
        asks: dict[GroupId, frozenset[GroupId]] = {}
        for group_id, rule in definitions.groups.items():
            if former is not None and rule is former.definitions.groups.get(group_id, _UNKNOWN):
                asks[group_id] = former.asks[group_id]
            else:
                asks[group_id] = frozenset() if rule is None else rule.groups()
        order = sorted(definitions.groups.items(), key=lambda each: bool(asks[each[0]]))
        undecided = frozenset(group_id for group_id, rule in definitions.groups.items() if rule is None)
        firewall = frozenset(each for each, policy in definitions.policies.items() if policy.is_firewall)
        return cls(definitions, order, asks, undecided, firewall)

    def groups_of(self, attributes: Attributes, recorded: Iterable[GroupId], *, stays: bool) -> frozenset[GroupId]:
        """Return the groups of a device: those it is recorded in that no rule decides, and those that rules say."""
        rules = self.definitions.groups
        known = frozenset(group_id for group_id in recorded if group_id in rules and rules[group_id] is None)
        if not stays:
            return known
        if self._plain is None or self._asking is None:
            decided = {group_id: rule for group_id, rule in rules.items() if rule is not None}
            self._plain = RuleIndex({each: rule for each, rule in decided.items() if not self.asks[each]})
            self._asking = RuleIndex({each: rule for each, rule in decided.items() if self.asks[each]})
            self._asked_for = frozenset().union(*self.asks.values())
        known |= self._plain.matching(attributes)
        asked_for = tuple(sorted(known & self._asked_for))  # of other groups no rule could tell
        return known | self._asking.matching({**attributes, MEMBER_OF: asked_for})

    def filters_of(self, attributes: Attributes) -> frozenset[AssignmentFilterId]:
        """Return the filters that a device matches."""
        if self._filters is None:
            self._filters = RuleIndex(self.definitions.filters)
        return self._filters.matching(attributes)

    def policies_of(self, belongs: Collection[GroupId], matched: Collection[AssignmentFilterId]) -> frozenset[PolicyId]:
        """Return the policies that are assigned to a device in these groups that matches these filters."""
        if self._by_group is None:
            by_group: defaultdict[GroupId | None, _Assigned] = defaultdict(_Assigned)
            for policy in self.definitions.policies.values():
                for each in policy.assignments:
                    by_group[each.group_id].add(each)
            self._by_group = by_group
        included: set[PolicyId] = set()
        excluded: set[PolicyId] = set()
        for group_id in (None, *belongs):
            assigned = self._by_group.get(group_id)
            if assigned is not None:
                included |= assigned.included
                excluded |= assigned.excluded
                if assigned.filtered:
                    included.update(each.policy_id for each in assigned.filtered if lets_through(each, matched))
        return frozenset(included - excluded)
