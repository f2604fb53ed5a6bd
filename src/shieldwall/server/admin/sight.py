"""What the caller of a request sees: conditions for listings, and questions about single objects.

A listing that storage reads declares its rows beside its permissions, ``needs(…) | showing(Sight.groups)``,
and its query then has the conditions of whoever asks. What is counted or put together in a handler asks ``sight_of``.
Who is not narrowed gets no condition at all, so listings cost them nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from litestar.connection import ASGIConnection
from sqlalchemy import ColumnElement, Connection, and_, func, select

from shieldwall.contract.ids import DeviceId, GroupId, PolicyId, TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Principal, UnauthenticatedError
from shieldwall.server.access.grants import Access
from shieldwall.server.access.verdicts import Facts, Verdict, judge
from shieldwall.server.storage.access import scoping
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.tables.device_schema import alerts, device_events
from shieldwall.server.storage.tables.schema import (
    assignment_filters,
    check_ins,
    devices,
    groups,
    inventory,
    membership_events,
    policies,
)

Conditions: TypeAlias = tuple[ColumnElement[bool], ...]
_ROWS: Final = "rows"


@dataclass(frozen=True, slots=True)
class Sight:
    """The eyes of one caller in their tenant."""

    tenant_id: TenantId
    access: Access

    def policies(self, action: ResourceAction = ResourceAction.READ_POLICIES) -> Conditions:
        """Say which rows of policies are seen."""
        return self._tagged(action, policies.c.role_scope_tag_ids)

    def filters(self) -> Conditions:
        """Say which rows of assignment filters are seen."""
        return self._tagged(ResourceAction.READ_FILTERS, assignment_filters.c.role_scope_tag_ids)

    def devices(
        self, column: ColumnElement[Any] = devices.c.id, action: ResourceAction = ResourceAction.READ_DEVICES
    ) -> Conditions:
        """Say which devices are seen; ``column`` names them in the query."""
        scopes = self.access.scopes(action)
        if any(scope.tags is None for scope in scopes):
            return ()
        return (scoping.sees_device(self.tenant_id, scopes, column),)

    def listed_devices(self, action: ResourceAction = ResourceAction.READ_DEVICES) -> Conditions:
        """Say which devices are seen in a listing that reads the narrow rows of the inventory."""
        return self.devices(inventory.c.device_id, action)

    def reported_devices(self) -> Conditions:
        """Say of which devices reports are seen, in a query that reads their check-ins."""
        return self.devices(check_ins.c.device_id, ResourceAction.VIEW_REPORTS)

    def onboarded_devices(self) -> Conditions:
        """Say of which devices reports are seen, in a query that reads the narrow rows of the inventory."""
        return self.devices(inventory.c.device_id, ResourceAction.VIEW_REPORTS)

    def moved_devices(self) -> Conditions:
        """Say which devices are seen in the history of a group."""
        return self.devices(membership_events.c.device_id)

    def moved_groups(self) -> Conditions:
        """Say which groups are seen in the history of a device."""
        return self.groups(membership_events.c.group_id)

    def groups(self, column: ColumnElement[Any] = groups.c.id) -> Conditions:
        """Say which groups are seen; ``column`` names them in the query."""
        scopes = self.access.scopes(ResourceAction.READ_GROUPS)
        if any(scope.tags is None for scope in scopes):
            return ()
        return (scoping.sees_group(self.tenant_id, scopes, column),)

    def alerts(self) -> Conditions:
        """Say which rows of alerts are seen: those about a device that is; others are about the tenant."""
        if self.access.may_everywhere(ResourceAction.READ_ALERTS):
            return ()
        seen = self.devices(alerts.c.device_id, ResourceAction.READ_ALERTS)
        return (and_(alerts.c.device_id.is_not(None), *seen),)

    def device_events(self) -> Conditions:
        """Say which rows of what happened on devices are seen."""
        if self.access.may_everywhere(ResourceAction.READ_ALERTS):
            return ()
        return self.devices(device_events.c.device_id, ResourceAction.READ_ALERTS)

    def devices_among(self, connection: Connection, device_ids: Collection[DeviceId]) -> frozenset[DeviceId]:
        """Return those of these devices that are seen; what is no device is not.

        The tenant is asked for in a way that no index answers: SQLite would go through all its devices for a few.
        """
        if not device_ids:
            return frozenset()
        mine = func.coalesce(devices.c.tenant_id, "") == self.tenant_id
        query = select(devices.c.id).where(mine, is_one_of(connection, devices.c.id, device_ids), *self.devices())
        return frozenset(map(DeviceId, connection.scalars(query)))

    def policies_among(self, connection: Connection, policy_ids: Collection[PolicyId]) -> frozenset[PolicyId]:
        """Return those of these policies that are seen."""
        query = select(policies.c.id).where(
            policies.c.tenant_id == self.tenant_id, is_one_of(connection, policies.c.id, policy_ids), *self.policies()
        )
        return frozenset(map(PolicyId, connection.scalars(query)))

    def groups_among(self, connection: Connection, group_ids: Collection[GroupId]) -> frozenset[GroupId]:
        """Return those of these groups that are seen."""
        query = select(groups.c.id).where(
            groups.c.tenant_id == self.tenant_id, is_one_of(connection, groups.c.id, group_ids), *self.groups()
        )
        return frozenset(map(GroupId, connection.scalars(query)))

    def may(self, action: ResourceAction, facts: Facts) -> bool:
        """Tell whether something may be done to one object."""
        return judge(self.access, action, facts, ()) is Verdict.GRANTED

    def sees(self, action: ResourceAction, tags: Collection[str]) -> bool:
        """Tell whether one object with these scope tags is seen."""
        return self.access.sees(action, tags)

    def _tagged(self, action: ResourceAction, column: ColumnElement[Any]) -> Conditions:
        scopes = self.access.scopes(action)
        if any(scope.tags is None for scope in scopes):
            return ()
        return (scoping.sees_tagged(scopes, column),)


def showing(rows: Callable[[Sight], Conditions]) -> dict[str, Any]:
    """Declare which rows a listing has: conditions over the tables that its query reads."""
    return {_ROWS: rows}


def rows_of(request: ASGIConnection[Any, Any, Any, Any]) -> Conditions:
    """Return the conditions of the caller on the listing that the route declares; none where it declares none."""
    rows = request.route_handler.opt.get(_ROWS)
    return () if rows is None else cast("Conditions", rows(sight_of(request)))


def caller_of(request: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    """Return whoever the guard let in. Raises: UnauthenticatedError."""
    principal = request.scope.get("user")
    if not isinstance(principal, Principal):
        raise UnauthenticatedError("The request carries no access token.")
    return principal


def sight_of(request: ASGIConnection[Any, Any, Any, Any]) -> Sight:
    """Return the eyes of whoever the guard let in. Raises: UnauthenticatedError."""
    caller = caller_of(request)
    return Sight(caller.tenant_id, caller.access)
