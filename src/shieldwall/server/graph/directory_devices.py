"""``/devices``: the directory's view of devices, and of registrations that no device uses yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId, parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import devices, registrations
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.registrations import InvalidRegistrationError
from shieldwall.server.graph.describing import ETAG, IF_MATCH, changes, creates, lists, removes, shows
from shieldwall.server.graph.directory_bodies import DevicePatch, ImportRequest, manager_of
from shieldwall.server.graph.directory_shapes import ALTERNATE_KEY, device_resource, registration_resource
from shieldwall.server.graph.fields.directory import DEVICE_FIELDS, REGISTRATION_FIELDS
from shieldwall.server.graph.odata import memory
from shieldwall.server.graph.preconditions import require_match, shown, state_of
from shieldwall.server.graph.query import Query
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.directory import DEVICE
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices as device_rows
from shieldwall.server.storage.devices import registrations as registration_rows
from shieldwall.server.storage.devices.registrations import ExistingRegistration
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.order_terms import Tally

READ: Final = allow("Device.Read.All", "Device.ReadWrite.All")
_WRITE: Final = allow("Device.ReadWrite.All")
_PATH: Final = "/devices"
_ONE: Final = _PATH + "/{named:str}"
_BY_THEMSELVES: Final = ("approximateLastSignInDateTime",)
"""Members that say when a device was here last, and not in which state it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What one id names: a device that has come, the registration it uses or will use, or both."""

    device: Device | None
    registration: ExistingRegistration | None


@get(_PATH, opt=READ | needs(ResourceAction.READ_DIRECTORY) | lists(DEVICE), sync_to_thread=True)
def list_directory_devices(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the devices of the directory and the registrations that none of them uses yet, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        rows = directory_rows(connection, services.tenant.id, query)
    return page_answer(services, request, query, rows, DEVICE_FIELDS)


@post(
    _PATH,
    opt=_WRITE | needs(ResourceAction.UPDATE_DIRECTORY) | creates(DEVICE, takes=ImportRequest, fails=[409]),
    sync_to_thread=True,
)
def import_device(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Import the registration that a device has in another directory, with its certificate there."""
    draft = body_of(request, body, ImportRequest).draft()
    with services.database.write() as connection:
        made = registrations.import_registration(connection, acting_for(services, request), draft)
    return answer(registration_resource(made), status=201)


@get(
    _ONE,
    opt=READ | needs(ResourceAction.READ_DIRECTORY, Reach.OBJECT) | shows(DEVICE, headers=ETAG),
    sync_to_thread=True,
)
def get_directory_device(services: Services, request: GraphRequest, named: FromPath[str]) -> Response[bytes]:
    """Return one device: by object id as Graph does, by device id, or `devices(deviceId='…')`."""
    query = query_of(request)
    with services.database.read() as connection:
        resource = _resource(connection, _named(connection, services.tenant.id, named))
    return shown(request, query.shape(resource, DEVICE_FIELDS), state_of(resource, but=_BY_THEMSELVES))


@patch(
    _ONE,
    opt=_WRITE
    | needs(ResourceAction.UPDATE_DIRECTORY, Reach.OBJECT)
    | changes(takes=DevicePatch, asks=[IF_MATCH], fails=[409]),
    sync_to_thread=True,
    status_code=204,
)
def change_directory_device(
    services: Services, request: GraphRequest, named: FromPath[str], body: RawBody
) -> Response[None]:
    """Change a device: name, whether it may speak, category, ownership, extension attributes, who manages it."""
    wanted = body_of(request, body, DevicePatch)
    with services.database.write() as connection:
        _change(connection, acting_for(services, request), _matching(services, request, connection, named), wanted)
    return empty()


@delete(
    _ONE,
    opt=_WRITE | needs(ResourceAction.UPDATE_DIRECTORY, Reach.OBJECT, sensitive=True) | removes(asks=[IF_MATCH]),
    sync_to_thread=True,
)
def delete_directory_device(services: Services, request: GraphRequest, named: FromPath[str]) -> Response[None]:
    """Delete a device or registration: gone from every view, and never back with its old key."""
    with services.database.write() as connection:
        found = _matching(services, request, connection, named)
        delete_device(connection, acting_for(services, request), _id_of(found))
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_directory_devices,
    import_device,
    get_directory_device,
    change_directory_device,
    delete_directory_device,
)


def _matching(services: AdminServices, request: GraphRequest, connection: Connection, name: str) -> Named:
    """Find what is to be changed, as If-Match names it. Raises: as ``_named`` and ``require_match``."""
    targets.lock(connection)
    found = _named(connection, services.tenant.id, name)
    require_match(services, request, state_of(_resource(connection, found), but=_BY_THEMSELVES))
    return found


def _named(connection: Connection, tenant_id: TenantId, name: str) -> Named:
    """Find what an id names; object ids go first, as in Graph. Raises: NotFoundError, InvalidIdError."""
    wanted = parse_device_id(name.removeprefix(ALTERNATE_KEY))
    device = registration = None
    if not name.startswith(ALTERNATE_KEY):
        device = devices.find_by_object_id(connection, tenant_id, wanted)
        registration = registration_rows.find_by_object_id(connection, tenant_id, wanted)
    if device is None and registration is None:
        device = device_rows.find(connection, wanted)
        device = None if device is None or device.tenant_id != tenant_id else device
        registration = registration_rows.find(connection, tenant_id, wanted)
    if device is None and registration is None:
        raise NotFoundError(f"There is no device {wanted}.")
    return Named(device=device, registration=registration)


def _change(connection: Connection, acting: Acting, found: Named, wanted: DevicePatch) -> None:
    if wanted.speaks_of_management and found.registration is None:
        raise InvalidRegistrationError("Who manages this device follows from what it is.", member="managementType")
    if wanted.speaks_of_details and found.device is None:
        raise InvalidRegistrationError(
            "Categories, ownership and extension attributes are kept of devices that have come.",
            member="extensionAttributes",
        )
    name = None if wanted.display_name is UNSET else wanted.display_name
    enabled = None if wanted.account_enabled is UNSET else wanted.account_enabled
    if found.registration is not None:
        manager = found.registration.manager
        if wanted.speaks_of_management:
            manager = manager_of(
                None if wanted.is_managed is UNSET else wanted.is_managed,
                None if wanted.management_type is UNSET else wanted.management_type,
            )
        registrations.change_registration(
            connection, acting, found.registration, display_name=name, is_enabled=enabled, manager=manager
        )
    if found.device is not None:
        _change_device(connection, acting, found.device, wanted)


def _change_device(connection: Connection, acting: Acting, device: Device, wanted: DevicePatch) -> None:
    if wanted.display_name is not UNSET:
        devices.rename(connection, acting, device.id, wanted.display_name)
    if wanted.account_enabled is not UNSET:
        devices.set_enabled(connection, acting, device.id, enabled=wanted.account_enabled)
    if wanted.speaks_of_details:
        devices.change_details(
            connection,
            acting,
            device.id,
            category=None if wanted.device_category is UNSET else wanted.device_category or "",
            ownership=None if wanted.device_ownership is UNSET else wanted.device_ownership,
            attributes=None if wanted.extension_attributes is UNSET else wanted.extension_attributes,
        )


def directory_rows(connection: Connection, tenant_id: TenantId, query: Query) -> list[tuple[str, Json]]:
    """Read a page of devices and one of registrations, and put both into the one order: each has what comes first."""
    page = query.page_of(DEVICE_FIELDS)
    known = replace(query.page_of(REGISTRATION_FIELDS), tally=None if page.tally is None else Tally())
    if page.skip:  # what is left out may be of either kind
        page, known = (replace(each, size=each.size + each.skip, skip=0) for each in (page, known))
    found = device_rows.list_devices(connection, tenant_id, page)
    unused = registration_rows.list_unused(connection, tenant_id, known)
    if page.tally is not None and known.tally is not None:
        page.tally.total = (page.tally.total or 0) + (known.tally.total or 0)
    seen = check_ins.find_many(connection, [each.id for each in found])
    rows = [(str(each.id), device_resource(each, seen.get(each.id))) for each in found]
    rows += [(str(each.device_id), registration_resource(each)) for each in unused]
    order = query.ordered(DEVICE_FIELDS)
    rows.sort(key=itemgetter(0), reverse=bool(order) and order[-1].descending)
    return memory.rows_in_order(rows, order)[query.skip : query.skip + query.size + 1]


def _resource(connection: Connection, found: Named) -> Json:
    if found.device is not None:
        return device_resource(found.device, check_ins.get(connection, found.device.id))
    assert found.registration is not None, "an id names something"
    return registration_resource(found.registration)


def _id_of(found: Named) -> DeviceId:
    if found.device is not None:
        return found.device.id
    assert found.registration is not None, "an id names something"
    return found.registration.device_id
