"""Actions that take ``managedDevices`` from one state to another (ours): disable, enable, release from quarantine."""

from __future__ import annotations

from typing import Final

from litestar import Response, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.directory.devices import set_enabled
from shieldwall.server.graph.describing import does
from shieldwall.server.graph.requests import GraphRequest, Services, empty
from shieldwall.server.manager.clone_watch import release

_OPERATE: Final = allow(
    "DeviceManagementManagedDevices.PrivilegedOperations.All", "DeviceManagementManagedDevices.ReadWrite.All"
)
_ONE: Final = "/deviceManagement/managedDevices/{device_id:str}"


@post(
    _ONE + "/disable",
    opt=_OPERATE | needs(ResourceAction.UPDATE_DIRECTORY, Reach.OBJECT) | does(fails=[409]),
    sync_to_thread=True,
    status_code=204,
)
def disable_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[None]:
    """Let a device speak no more, from its next request on; it keeps what it enforces (ours)."""
    return _switched(services, request, device_id, enabled=False)


@post(
    _ONE + "/enable",
    opt=_OPERATE | needs(ResourceAction.UPDATE_DIRECTORY, Reach.OBJECT) | does(fails=[409]),
    sync_to_thread=True,
    status_code=204,
)
def enable_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[None]:
    """Let a disabled device speak again; one from quarantine goes back there (ours)."""
    return _switched(services, request, device_id, enabled=True)


@post(
    _ONE + "/releaseFromQuarantine",
    opt=_OPERATE | needs(ResourceAction.ADMIT_DEVICES, Reach.OBJECT) | does(fails=[409]),
    sync_to_thread=True,
    status_code=204,
)
def release_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[None]:
    """End a quarantine: the device counts its requests anew, and gets every policy again (ours)."""
    with services.database.write() as connection:
        release(connection, acting_for(services, request), parse_device_id(device_id))
    return empty()


def _switched(services: Services, request: GraphRequest, device_id: str, *, enabled: bool) -> Response[None]:
    with services.database.write() as connection:
        set_enabled(connection, acting_for(services, request), parse_device_id(device_id), enabled=enabled)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (disable_device, enable_device, release_device)
