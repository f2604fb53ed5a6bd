"""``/deviceManagement/managedDevices``: the manager's view of devices."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, UnsetType

from shieldwall.contract.ids import parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import Sight, showing, sight_of
from shieldwall.server.directory import devices, scope_tags
from shieldwall.server.directory.scope_tags import MOST_OF_DEVICE
from shieldwall.server.graph.describing import changes, does, lists, shows
from shieldwall.server.graph.effect_shapes import effective_resource
from shieldwall.server.graph.fields.catalog import EFFECTIVE_SETTING_FIELDS, ORGANIZATION_FIELDS
from shieldwall.server.graph.fields.managed_devices import MANAGED_DEVICE_FIELDS
from shieldwall.server.graph.machine_shapes import device_resources
from shieldwall.server.graph.managed_device_shapes import as_of
from shieldwall.server.graph.protection import device_protection
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import (
    organization_resource,
)
from shieldwall.server.graph.schemas.devices import EFFECTIVE_SETTING, MANAGED_DEVICE, ORGANIZATION
from shieldwall.server.manager import sync
from shieldwall.server.manager.origins import origins_of
from shieldwall.server.manager.statuses import effective_of

_READ: Final = allow("DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All")
_WRITE: Final = allow("DeviceManagementManagedDevices.ReadWrite.All")
_OPERATE: Final = allow(
    "DeviceManagementManagedDevices.PrivilegedOperations.All", "DeviceManagementManagedDevices.ReadWrite.All"
)
_READ_ORGANIZATION: Final = allow("Organization.Read.All", "Device.Read.All")
_MANAGED: Final = "/deviceManagement/managedDevices"
_ONE: Final = _MANAGED + "/{device_id:str}"


class TagsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tags a device gains and loses."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class ManagedDevicePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What may be changed of a managedDevice; beta has a second name for whose it is."""

    notes: str | UnsetType | None = UNSET
    managed_device_name: str | UnsetType | None = UNSET
    managed_device_owner_type: Literal["company", "personal", "unknown"] | None = None
    owner_type: Literal["company", "personal", "unknown"] | None = None
    role_scope_tag_ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_OF_DEVICE)] | None = None

    @property
    def ownership(self) -> str | None:
        """Whose the device is, as the directory says it; ``None`` where it stays as it is."""
        owner = self.managed_device_owner_type or self.owner_type
        return None if owner is None else owner.capitalize()


@get(
    _MANAGED,
    opt=_READ
    | needs(ResourceAction.READ_DEVICES, Reach.LISTED)
    | showing(Sight.listed_devices)
    | lists(MANAGED_DEVICE),
    sync_to_thread=True,
)
def list_managed_devices(services: Services, request: GraphRequest) -> Response[bytes]:
    """List managed devices, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = devices.list_devices(connection, services.tenant.id, query.page_of(MANAGED_DEVICE_FIELDS))
        resources = device_resources(connection, found, services.clock.now(), sight_of(request))
    path = request.url.path
    rows = [(each.id, as_of(path, resource)) for each, resource in zip(found, resources, strict=True)]
    return page_answer(services, request, query, rows, MANAGED_DEVICE_FIELDS)


@get(_ONE, opt=_READ | needs(ResourceAction.READ_DEVICES, Reach.OBJECT) | shows(MANAGED_DEVICE), sync_to_thread=True)
def get_managed_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[bytes]:
    """Return one managed device."""
    query = query_of(request)
    with services.database.read() as connection:
        device = devices.get_device(connection, services.tenant.id, parse_device_id(device_id))
        (resource,) = device_resources(connection, [device], services.clock.now(), sight_of(request))
        resource["shieldwall"]["protection"] = device_protection(connection, device, services.clock.now())
    return answer(query.shape(as_of(request.url.path, resource), MANAGED_DEVICE_FIELDS))


@patch(
    _ONE,
    opt=_WRITE | needs(ResourceAction.UPDATE_DEVICES, Reach.OBJECT) | changes(MANAGED_DEVICE, takes=ManagedDevicePatch),
    sync_to_thread=True,
)
def change_managed_device(
    services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Note what administrators know of a device: notes, the name that they call it by, whose it is, its scope tags."""
    asked, wanted = body_of(request, body, ManagedDevicePatch), parse_device_id(device_id)
    with services.database.write() as connection:
        device = devices.change_details(
            connection,
            acting_for(services, request),
            wanted,
            ownership=asked.ownership,
            notes=asked.notes or "" if asked.notes is not UNSET else None,
            managed_name=asked.managed_device_name or "" if asked.managed_device_name is not UNSET else None,
        )
        if asked.role_scope_tag_ids is not None:
            scope_tags.tag_device(connection, acting_for(services, request), wanted, asked.role_scope_tag_ids)
        (resource,) = device_resources(connection, [device], services.clock.now(), sight_of(request))
    return answer(as_of(request.url.path, resource))


@post(
    _ONE + "/syncDevice",
    opt=_OPERATE | needs(ResourceAction.SYNC_DEVICES, Reach.OBJECT) | does(fails=[409]),
    sync_to_thread=True,
    status_code=204,
)
def sync_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[None]:
    """Ask a device to check in now (policy sync)."""
    with services.database.write() as connection:
        device = devices.get_device(connection, services.tenant.id, parse_device_id(device_id))
        sync.ask(connection, acting_for(services, request), [device])
    return empty()


@post(
    _ONE + "/changeTags",
    opt=_WRITE | needs(ResourceAction.UPDATE_DEVICES, Reach.OBJECT) | does(MANAGED_DEVICE, takes=TagsRequest),
    sync_to_thread=True,
    status_code=200,
)
def change_tags(services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Give a device tags and take others away (ours)."""
    asked, wanted = body_of(request, body, TagsRequest), parse_device_id(device_id)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        device = devices.change_tags(connection, acting, wanted, add=asked.add, remove=asked.remove)
        (resource,) = device_resources(connection, [device], services.clock.now(), sight_of(request))
    return answer(resource)


@get(
    _ONE + "/effectiveSettings",
    opt=_READ | needs(ResourceAction.READ_DEVICES, Reach.OBJECT) | lists(EFFECTIVE_SETTING),
    sync_to_thread=True,
)
def effective_settings(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[bytes]:
    """Say what is in effect on a device, setting by setting, who set it and why (ours)."""
    query, wanted, tenant = query_of(request), parse_device_id(device_id), services.tenant.id
    with services.database.read() as connection:
        sight = sight_of(request)
        found = effective_of(connection, services.catalog, tenant, wanted, partial(sight.policies_among, connection))
        named = sight.policies_among(connection, [each.document.policy_id for each in found.policies])
        origins = origins_of(connection, devices.get_device(connection, tenant, wanted), sorted(named))
    resources = [effective_resource(each, services.catalog, origins) for each in found.settings]
    return list_answer(services, request, query, resources, EFFECTIVE_SETTING_FIELDS)


@get(
    "/organization",
    opt=_READ_ORGANIZATION | needs(ResourceAction.READ_ORGANIZATION, Reach.OPEN) | lists(ORGANIZATION),
    sync_to_thread=False,
)
def list_organizations(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return the tenant; there is one."""
    tenants = [organization_resource(services.tenant)]
    return list_answer(services, request, query_of(request), tenants, ORGANIZATION_FIELDS)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_managed_devices,
    get_managed_device,
    change_managed_device,
    sync_device,
    change_tags,
    effective_settings,
    list_organizations,
)
