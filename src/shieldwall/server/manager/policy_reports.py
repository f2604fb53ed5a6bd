"""What reports about policies are made of: the states of alike devices, and counts over all policies of a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.contract.status import SettingState
from shieldwall.server.manager.reported import with_reports
from shieldwall.server.manager.standing import standing_of_fleet
from shieldwall.server.manager.states import said
from shieldwall.server.manager.statuses import PolicyCounts, PolicyView
from shieldwall.server.storage.check_ins import standings
from shieldwall.server.storage.reports.report_rows import Alike


@dataclass(frozen=True, slots=True)
class StateOfAlike:
    """The state of a policy on devices that are alike, and how many these are."""

    state: SettingState
    devices: int


def states_of_policy(
    connection: Connection, catalog: Catalog, tenant_id: TenantId, policy_id: PolicyId
) -> Mapping[Alike, StateOfAlike]:
    """Return the state of a policy on devices that are alike, for each such set. Raises: NotFoundError."""
    view = PolicyView(connection, catalog, tenant_id, policy_id)
    counted = standings.count_by_report(connection, tenant_id, view.items)
    return {
        Alike(each.target, each.status, each.os_type, each.catalog_version): StateOfAlike(
            said(report, each.target).policy(view.items[each.target], view.applying(each)), each.devices
        )
        for each, report in with_reports(connection, tenant_id, counted)
    }


def counts_of_policies(
    connection: Connection, catalog: Catalog, tenant_id: TenantId
) -> Mapping[PolicyId, PolicyCounts]:
    """Count the devices of every policy by state, as a whole and setting by setting, in one pass."""
    return standing_of_fleet(connection, catalog, tenant_id).policies


def total(counts: Mapping[SettingState, int], states: Iterable[SettingState]) -> int:
    """Add up some states."""
    return sum(counts.get(state, 0) for state in states)
