"""Whom a policy is assigned to, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import AssignmentFilterId, GroupId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.portal.handling import PageRequest
from shieldwall.server.portal.policies.words import FILTER_KINDS, KINDS
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.policies import assignments, filters
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind, Group, Policy

_ORDER: Final = (AssignmentKind.ALL_DEVICES, AssignmentKind.INCLUDE, AssignmentKind.EXCLUDE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """One assignment. Names are empty where the caller does not see the group or the filter."""

    kind: AssignmentKind
    group_id: GroupId | None
    group: Group | None
    filter_id: AssignmentFilterId | None
    filter_kind: FilterKind
    filter_name: str

    @property
    def words(self) -> str:
        """How it takes in its devices: a marked text."""
        return KINDS[self.kind]

    @property
    def filter_words(self) -> str:
        """How its filter narrows it: a marked text."""
        return FILTER_KINDS[self.filter_kind]


def target_rows(connection: Connection, request: PageRequest, policy: Policy) -> list[TargetRow]:
    """Show whom a policy is assigned to: what it includes first."""
    return rows_of(connection, request, assignments.of_policy(connection, policy.id))


def rows_of(connection: Connection, request: PageRequest, assigned: tuple[Assignment, ...]) -> list[TargetRow]:
    """Show assignments, what is included first."""
    sight = sight_of(request)
    named = {each.group_id for each in assigned if each.group_id is not None}
    seen = sight.groups_among(connection, named)
    known = {group.id: group for group in groups.find_many(connection, seen)}
    rows: list[TargetRow] = []
    for each in assigned:
        narrowing = None if each.filter_id is None else filters.find(connection, each.filter_id)
        sees = narrowing is not None and sight.sees(ResourceAction.READ_FILTERS, narrowing.role_scope_tag_ids)
        rows.append(
            TargetRow(
                kind=each.kind,
                group_id=each.group_id,
                group=None if each.group_id is None else known.get(each.group_id),
                filter_id=each.filter_id,
                filter_kind=each.filter_kind,
                filter_name=narrowing.display_name if narrowing is not None and sees else "",
            )
        )
    return sorted(rows, key=_order)


def _order(row: TargetRow) -> tuple[int, str]:
    return _ORDER.index(row.kind), row.group.display_name if row.group else ""
