"""Published actions on ``managedDevices`` that this channel has no means for: refused honestly.

A 404 would say too little: the device is there, and what is asked is done by other products.
"""

from __future__ import annotations

from typing import Final

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.directory import devices
from shieldwall.server.graph.describing import does
from shieldwall.server.graph.errors import NotSupportedError
from shieldwall.server.graph.requests import Services

_OPERATE: Final = allow(
    "DeviceManagementManagedDevices.PrivilegedOperations.All", "DeviceManagementManagedDevices.ReadWrite.All"
)
_ONE: Final = "/deviceManagement/managedDevices/{device_id:str}"
UNSUPPORTED: Final = (
    "cleanWindowsDevice",
    "locateDevice",
    "rebootNow",
    "remoteLock",
    "requestRemoteAssistance",
    "resetPasscode",
    "rotateBitLockerKeys",
    "setDeviceName",
    "shutDown",
    "windowsDefenderScan",
    "windowsDefenderUpdateSignatures",
    "wipe",
)


def _refusing(action: str) -> HTTPRouteHandler:
    """Make the route of one action."""

    @post(
        f"{_ONE}/{action}",
        opt=_OPERATE | needs(ResourceAction.OFFBOARD_DEVICES, Reach.OBJECT) | does(fails=[501]),
        sync_to_thread=True,
        status_code=204,
    )
    def refuse_action(services: Services, device_id: FromPath[str]) -> Response[None]:
        """Refuse a published action that security settings management has no means for."""
        with services.database.read() as connection:
            device = devices.get_device(connection, services.tenant.id, parse_device_id(device_id))
        raise NotSupportedError(
            f"{action} cannot be done on {device.display_name!r}: this channel brings settings and no commands."
        )

    return refuse_action


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = tuple(map(_refusing, UNSUPPORTED))
