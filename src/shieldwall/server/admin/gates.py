"""What the path of a route names, looked at before the handler runs: default-deny for whoever's roles are narrowed.

Every path parameter has a gate that reads the scope of the object it names (``access.verdicts.Facts``). For somebody
who is narrowed, what they do not see is answered just like what is not there, by one line for both, before the body is
read; what they see and may not touch is refused. Who is not narrowed, and every application, passes without a look.

Why nothing changes between a gate and its handler that would matter stands in decision 0038.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from litestar import Litestar
from litestar.connection import ASGIConnection
from sqlalchemy import Connection, Table, select

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import UUID_PATTERN, DeviceId, GroupId, TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import (
    Authorization,
    ForbiddenError,
    Principal,
    Reach,
    UndeclaredRouteError,
    authorization_of,
)
from shieldwall.server.access.grants import DEFAULT_TAG
from shieldwall.server.access.roles import BUILT_IN
from shieldwall.server.access.verdicts import OF_TENANT, Facts, Verdict, judge
from shieldwall.server.admin.declared_routes import handlers_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.inventory.machine_ids import MACHINE_ID, device_id_of
from shieldwall.server.storage.access import scope_tags, scoping
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.statements.rows import strings_from
from shieldwall.server.storage.tables.access_schema import role_definitions
from shieldwall.server.storage.tables.device_schema import alerts, device_events, registrations
from shieldwall.server.storage.tables.portal_schema import unfinished_policies
from shieldwall.server.storage.tables.schema import (
    assignment_filters,
    devices,
    groups,
    policies,
    reusable_settings,
)

AnyRequest: TypeAlias = ASGIConnection[Any, Any, Any, Any]
Look: TypeAlias = Callable[[Connection, TenantId, str], list[Facts]]
_ALTERNATE_KEY: Final = "deviceId="
_OPEN_ENOUGH: Final = frozenset({Reach.OPEN, Reach.TENANT})
"""Routes that either do not ask what is named, or let in nobody who is narrowed."""


@dataclass(frozen=True, slots=True)
class Gate:
    """How the objects of one kind are looked at.

    ``look`` returns the facts of everything that a text may name: nothing where it names nothing. Who holds one of
    ``readings`` on an object sees it. Texts that do not fit ``pattern`` name nothing.
    """

    kind: str
    look: Look
    readings: tuple[ResourceAction, ...]
    pattern: str = UUID_PATTERN


def facts_of_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> Facts:
    """Read the scope of a device."""
    return Facts(
        tags=scoping.tags_of_device(connection, tenant_id, device_id),
        groups=scoping.groups_of_device(connection, tenant_id, device_id),
    )


def facts_of_group(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> Facts:
    """Read the scope of a group: its tags, and itself, which some role assignments are narrowed to."""
    return Facts(tags=scoping.tags_of_group(connection, tenant_id, group_id), groups=frozenset({group_id}))


def _devices(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
    """Look at each device that a text may name, by its id or by its object id."""
    wanted = text.removeprefix(_ALTERNATE_KEY).lower()
    found: set[str] = set()
    for key, objects in ((devices.c.id, devices.c.object_id), (registrations.c.device_id, registrations.c.object_id)):
        query = select(key).where(key.table.c.tenant_id == tenant_id, (key == wanted) | (objects == wanted))
        found.update(connection.scalars(query))
    return [facts_of_device(connection, tenant_id, DeviceId(each)) for each in sorted(found)]


def _machines(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
    """Look at the device of a machine, as Defender for Endpoint names it; what is no id of one names nothing."""
    try:
        return _devices(connection, tenant_id, device_id_of(text))
    except InvalidIdError:
        return []


def _groups(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
    query = select(groups.c.id).where(groups.c.tenant_id == tenant_id, groups.c.id == text.lower())
    return [facts_of_group(connection, tenant_id, GroupId(each)) for each in connection.scalars(query)]


def _alerts(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
    """Look at the device of an alert. One that is about no device is about the tenant: not for who is narrowed."""
    query = select(alerts.c.device_id).where(alerts.c.tenant_id == tenant_id, alerts.c.id == text.lower())
    about = [DeviceId(each) for each in connection.scalars(query) if each is not None]
    return [facts_of_device(connection, tenant_id, device_id) for device_id in about]


def _events(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
    """Look at the device on which something happened."""
    query = select(device_events.c.device_id).where(
        device_events.c.tenant_id == tenant_id, device_events.c.id == text.lower()
    )
    return [facts_of_device(connection, tenant_id, DeviceId(each)) for each in connection.scalars(query)]


def _tagged(table: Table) -> Look:
    def look(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
        query = select(table.c.role_scope_tag_ids).where(table.c.tenant_id == tenant_id, table.c.id == text.lower())
        return [Facts(tags=frozenset(strings_from(each))) for each in connection.scalars(query)]

    return look


def _of_tenant(table: Table) -> Look:
    def look(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
        query = select(table.c.id).where(table.c.tenant_id == tenant_id, table.c.id == text.lower())
        return [OF_TENANT for _ in connection.scalars(query)]

    return look


def _tags(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
    known = text == DEFAULT_TAG or scope_tags.find(connection, tenant_id, text) is not None
    return [Facts(tags=frozenset({text}))] if known else []


def _roles(connection: Connection, tenant_id: TenantId, text: str) -> list[Facts]:
    return [OF_TENANT] if text.lower() in BUILT_IN else _tagged(role_definitions)(connection, tenant_id, text)


_DEVICE: Final = Gate("device", _devices, (ResourceAction.READ_DEVICES, ResourceAction.READ_DIRECTORY))
GATES: Final[Mapping[str, Gate]] = {
    "policy_id": Gate("policy", _tagged(policies), (ResourceAction.READ_POLICIES,)),
    "unfinished_id": Gate("unfinished policy", _of_tenant(unfinished_policies), (ResourceAction.READ_POLICIES,)),
    "filter_id": Gate("assignment filter", _tagged(assignment_filters), (ResourceAction.READ_FILTERS,)),
    "setting_id": Gate("reusable setting", _of_tenant(reusable_settings), (ResourceAction.READ_POLICIES,)),
    "device_id": _DEVICE,
    "machine_id": Gate("machine", _machines, (ResourceAction.READ_DEVICES,), MACHINE_ID),
    "named": _DEVICE,
    "member_id": _DEVICE,
    "group_id": Gate("group", _groups, (ResourceAction.READ_GROUPS,)),
    "alert_id": Gate("alert", _alerts, (ResourceAction.READ_ALERTS,)),
    "device_event_id": Gate("event", _events, (ResourceAction.READ_ALERTS,)),
    "role_id": Gate("role", _roles, (ResourceAction.READ_ROLES,)),
    "tag_id": Gate("scope tag", _tags, (ResourceAction.READ_ROLES,), r"[0-9]{1,9}"),
}
"""The gate of each path parameter."""
PARTS: Final = frozenset({"revision", "kind", "part"})
"""Parameters that name a part of what another one names, or a form to show it in."""


def require_gates(app: Litestar) -> None:
    """Refuse to start while a route does not say what roles must grant, or names by its path what no gate knows.

    Raises:
        UndeclaredRouteError: Names the method and path.
    """
    for method, route, handler in handlers_of(app):
        declared = authorization_of(handler.opt)
        if declared.public or declared.demand.everybody:
            continue
        if declared.action is None:
            raise UndeclaredRouteError(f"{method} {route.path} does not declare what a person's roles must grant.")
        unknown = set(route.path_parameters) - GATES.keys() - PARTS
        if unknown and declared.reach not in _OPEN_ENOUGH:
            raise UndeclaredRouteError(f"{method} {route.path}: no gate looks at {min(unknown)}.")


def is_narrowed(authorization: Authorization, principal: Principal) -> bool:
    """Tell whether what the path names has to be looked at for this caller."""
    action = authorization.action
    if action is None or authorization.reach in _OPEN_ENOUGH:
        return False
    return not principal.access.may_everywhere(action)


def pass_gates(
    services: AdminServices, authorization: Authorization, principal: Principal, parameters: Mapping[str, Any]
) -> None:
    """Look at everything that a path names.

    Raises:
        NotFoundError: It is not there, or not for this caller.
        ForbiddenError: The caller sees it and may not do this to it.
    """
    action = authorization.action
    assert action is not None, "a route without an action has no gates"
    gated = {name: str(value) for name, value in parameters.items() if name in GATES}
    if not gated:
        return
    with services.database.read() as connection:
        for name, text in gated.items():
            gate = GATES[name]
            is_id = re.fullmatch(gate.pattern, text.removeprefix(_ALTERNATE_KEY).lower())
            found = gate.look(connection, principal.tenant_id, text) if is_id else []
            _pass(gate, action, principal, text, found)


def require_named(connection: Connection, request: AnyRequest, parameter: str, ids: Iterable[str]) -> None:
    """Look at what a body names as if it stood in the path as ``parameter``, for the action of the route.

    Raises:
        NotFoundError: One of them is not there, or not for the caller.
        ForbiddenError: The caller sees one and may not do this to it.
    """
    principal, action = caller_of(request), authorization_of(request.route_handler.opt).action
    assert action is not None, "a route that names objects declares what roles must grant"
    if principal.access.may_everywhere(action):
        return
    gate = GATES[parameter]
    for text in dict.fromkeys(ids):
        _pass(gate, action, principal, text, gate.look(connection, principal.tenant_id, text))


def require_everywhere(request: AnyRequest) -> None:
    """Refuse what concerns the whole tenant to who is narrowed, for the action of the route. Raises: ForbiddenError."""
    principal, action = caller_of(request), authorization_of(request.route_handler.opt).action
    if action is None or not principal.access.may_everywhere(action):
        raise ForbiddenError(f"No role of {principal.display_name} grants this in the whole tenant.")


def require_devices(connection: Connection, request: AnyRequest, device_ids: Iterable[DeviceId]) -> None:
    """Look at the devices that a body names. Raises: as ``require_named``."""
    require_named(connection, request, "device_id", device_ids)


def _pass(gate: Gate, action: ResourceAction, principal: Principal, text: str, found: list[Facts]) -> None:
    verdicts = {judge(principal.access, action, facts, gate.readings) for facts in found}
    if not verdicts or Verdict.UNSEEN in verdicts:
        raise NotFoundError(f"There is no {gate.kind} {text[:64]}.")
    if Verdict.REFUSED in verdicts:
        raise ForbiddenError(f"No role of {principal.display_name} grants this on the {gate.kind}: {action.value}.")
