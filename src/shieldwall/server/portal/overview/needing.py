"""What on the first page needs somebody: devices in trouble, and policies with errors and conflicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import PolicyId
from shieldwall.contract.status import SettingState
from shieldwall.server.admin.sight import Sight
from shieldwall.server.manager import policies
from shieldwall.server.manager.figures import Figures
from shieldwall.server.manager.standing import TROUBLES
from shieldwall.server.portal.views import counts_of
from shieldwall.server.storage.records import Page, Policy
from shieldwall.server.storage.reports import troubled
from shieldwall.server.storage.reports.troubled import Troubled
from shieldwall.server.storage.tables.schema import policies as policy_table

_MOST_DEVICES: Final = 10
_MOST_POLICIES: Final = 10
_CANDIDATES: Final = 200
"""Policies in trouble that are looked up, to find ten that the caller sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInTrouble:
    """A policy, and on how many devices it is in which state."""

    policy: Policy
    counts: Mapping[SettingState, int]


def devices_in_trouble(
    connection: Connection, sight: Sight, figures: Figures
) -> tuple[tuple[Troubled, SettingState], ...]:
    """Return some of the devices with errors and conflicts, the gravest first."""
    found: list[tuple[Troubled, SettingState]] = []
    for state in TROUBLES:
        pairs = figures.troubled.get(state, ())
        room = _MOST_DEVICES - len(found)
        if pairs and room:
            some = troubled.some_of(connection, sight.tenant_id, pairs, room, sight.reported_devices())
            found += [(each, state) for each in some]
    return tuple(found)


def policies_in_trouble(connection: Connection, sight: Sight, figures: Figures) -> tuple[PolicyInTrouble, ...]:
    """Return those policies that the caller sees which have most errors, then most conflicts."""
    found = sorted(
        (each for each in figures.policies if _trouble(figures.states_of(each)) != (0, 0)),
        key=lambda each: _trouble(figures.states_of(each)),
        reverse=True,
    )[:_CANDIDATES]
    if not found:
        return ()
    where = (policy_table.c.id.in_(found), *sight.policies())
    seen = {
        each.id: each
        for each in policies.list_policies(connection, sight.tenant_id, Page(size=_CANDIDATES, where=where))
    }
    return tuple(
        PolicyInTrouble(policy=seen[each], counts=counts_of(figures.states_of(each)))
        for each in [PolicyId(each) for each in found if each in seen][:_MOST_POLICIES]
    )


def _trouble(counts: Mapping[SettingState, int]) -> tuple[int, int]:
    return counts.get(SettingState.ERROR, 0), counts.get(SettingState.CONFLICT, 0)
