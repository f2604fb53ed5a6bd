"""``/devices`` and ``/deviceManagement/managedDevices``: the directory's view and the manager's view of a device."""

from __future__ import annotations

from typing import Final

from litestar import Response, delete, get, post

from shieldwall.contract.ids import parse_device_id
from shieldwall.server.authorization import allow
from shieldwall.server.directory import devices
from shieldwall.server.graph.requests import GraphRequest, answer, caller, empty, page_answer, query_of
from shieldwall.server.graph.resources import (
    device_resource,
    effective_resource,
    managed_device_resource,
    organization_resource,
)
from shieldwall.server.manager import sync
from shieldwall.server.manager.statuses import effective_of
from shieldwall.server.manager.summaries import summaries
from shieldwall.server.services import AdminServices
from shieldwall.server.storage import check_ins

_READ_DIRECTORY: Final = allow("Device.Read.All", "Device.ReadWrite.All")
_READ: Final = allow("DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All")
_WRITE: Final = allow("DeviceManagementManagedDevices.ReadWrite.All")
_OPERATE: Final = allow(
    "DeviceManagementManagedDevices.PrivilegedOperations.All", "DeviceManagementManagedDevices.ReadWrite.All"
)
_MANAGED: Final = "/deviceManagement/managedDevices"


@get("/devices", opt=_READ_DIRECTORY, sync_to_thread=True)
def list_directory_devices(services: AdminServices, request: GraphRequest) -> Response[bytes]:
    """List the devices of the directory, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = devices.list_devices(connection, services.tenant.id, query.page)
        resources = [device_resource(each, check_ins.get(connection, each.id)) for each in found]
    last = found[-1].id if found else None
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=last)


@get("/devices/{device_id:str}", opt=_READ_DIRECTORY, sync_to_thread=True)
def get_directory_device(services: AdminServices, request: GraphRequest, device_id: str) -> Response[bytes]:
    """Return one device, by object id as Graph does, or by device id."""
    query, wanted = query_of(request), parse_device_id(device_id)
    with services.database.read() as connection:
        device = devices.find_by_object_id(connection, services.tenant.id, wanted)
        if device is None:
            device = devices.get_device(connection, services.tenant.id, wanted)
        resource = device_resource(device, check_ins.get(connection, device.id))
    return answer(query.shape(resource))


@get(_MANAGED, opt=_READ, sync_to_thread=True)
def list_managed_devices(services: AdminServices, request: GraphRequest) -> Response[bytes]:
    """List managed devices, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = devices.list_devices(connection, services.tenant.id, query.page)
        standing = summaries(connection, [each.id for each in found])
    resources = [managed_device_resource(each, standing[each.id]) for each in found]
    last = found[-1].id if found else None
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=last)


@get(_MANAGED + "/{device_id:str}", opt=_READ, sync_to_thread=True)
def get_managed_device(services: AdminServices, request: GraphRequest, device_id: str) -> Response[bytes]:
    """Return one managed device."""
    query = query_of(request)
    with services.database.read() as connection:
        device = devices.get_device(connection, services.tenant.id, parse_device_id(device_id))
        resource = managed_device_resource(device, summaries(connection, [device.id])[device.id])
    return answer(query.shape(resource))


@delete(_MANAGED + "/{device_id:str}", opt=_WRITE, sync_to_thread=True)
def retire_device(services: AdminServices, request: GraphRequest, device_id: str) -> Response[None]:
    """Retire a device: its key is refused from now on."""
    with services.database.write() as connection:
        devices.retire(connection, services.acting(caller(request).actor), parse_device_id(device_id))
    return empty()


@post(_MANAGED + "/{device_id:str}/syncDevice", opt=_OPERATE, sync_to_thread=True, status_code=204)
def sync_device(services: AdminServices, device_id: str) -> Response[None]:
    """Ask a device to check in now (policy sync)."""
    with services.database.write() as connection:
        device = devices.get_device(connection, services.tenant.id, parse_device_id(device_id))
        sync.request_sync(connection, [device.id], services.clock.now())
    return empty()


@get(_MANAGED + "/{device_id:str}/effectiveSettings", opt=_READ, sync_to_thread=True)
def effective_settings(services: AdminServices, request: GraphRequest, device_id: str) -> Response[bytes]:
    """Say what is in effect on a device, setting by setting, who set it and why (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = effective_of(connection, services.catalog, services.tenant.id, parse_device_id(device_id))
    resources = [effective_resource(each, services.catalog) for each in found.settings]
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=None)


@get("/organization", opt=allow("Organization.Read.All", "Device.Read.All"), sync_to_thread=False)
def list_organizations(services: AdminServices, request: GraphRequest) -> Response[bytes]:
    """Return the tenant; there is one."""
    query = query_of(request)
    resources = [organization_resource(services.tenant)]
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=None)
