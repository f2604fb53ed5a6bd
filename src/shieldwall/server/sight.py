"""What the caller of a request sees: conditions for listings, and questions about single objects.

Who is not narrowed gets no condition at all, so listings cost them nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeAlias

from litestar.connection import ASGIConnection
from sqlalchemy import ColumnElement, and_

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.grants import Access
from shieldwall.server.authorization import Principal, UnauthenticatedError
from shieldwall.server.storage import scoping
from shieldwall.server.storage.device_schema import alerts
from shieldwall.server.storage.schema import assignment_filters, devices, groups, policies

Conditions: TypeAlias = tuple[ColumnElement[bool], ...]


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

    def sees(self, action: ResourceAction, tags: Collection[str]) -> bool:
        """Tell whether one object with these scope tags is seen."""
        return self.access.sees(action, tags)

    def _tagged(self, action: ResourceAction, column: ColumnElement[Any]) -> Conditions:
        scopes = self.access.scopes(action)
        if any(scope.tags is None for scope in scopes):
            return ()
        return (scoping.sees_tagged(scopes, column),)


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
