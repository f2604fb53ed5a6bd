"""``/deviceManagement/mobileThreatDefenseConnectors``: the one connector there is, Defender for Endpoint.

Its switch ``microsoftDefenderForEndpointAttachEnabled`` is the tenant's: it lets this channel enforce security
settings. ``windowsEnabled`` and ``macEnabled`` are the coverage of these platforms in the enforcement scope; switching
one on that was off takes tagged devices only, since nobody said all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Response, get, patch
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, UnsetType
from sqlalchemy import Connection

from shieldwall.contract.strict_json import convert
from shieldwall.policy.enrollment import Coverage, EnforcementScope
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.describing import changes, lists, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    list_answer,
    members_of,
    query_of,
)
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.account import connector
from shieldwall.server.graph.schemas.resource import body, resource
from shieldwall.server.inventory.machines import INACTIVE_AFTER
from shieldwall.server.manager import enforcement_scope
from shieldwall.server.manager.channel import partner_state
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.onboarding import onboarding_states

CONNECTOR_ID: Final = "fc780465-2017-40d4-a0c5-307022471b92"
"""The published application id of Defender for Endpoint, by which its connector is known in every tenant."""
_PATH: Final = "/deviceManagement/mobileThreatDefenseConnectors"
_ONE: Final = _PATH + "/{connector_id:str}"
_READ: Final = allow("DeviceManagementServiceConfig.Read.All", "DeviceManagementServiceConfig.ReadWrite.All")
_WRITE: Final = allow("DeviceManagementServiceConfig.ReadWrite.All")
_NEVER_DONE: Final = (
    "allowPartnerToCollectIOSApplicationMetadata",
    "allowPartnerToCollectIOSPersonalApplicationMetadata",
    "allowPartnerToCollectIosCertificateMetadata",
    "allowPartnerToCollectIosPersonalCertificateMetadata",
    "androidDeviceBlockedOnMissingPartnerData",
    "androidEnabled",
    "androidMobileApplicationManagementEnabled",
    "iosDeviceBlockedOnMissingPartnerData",
    "iosEnabled",
    "iosMobileApplicationManagementEnabled",
    "macDeviceBlockedOnMissingPartnerData",
    "partnerUnsupportedOsVersionBlocked",
    "windowsDeviceBlockedOnMissingPartnerData",
    "windowsMobileApplicationManagementEnabled",
)
"""Published switches of what this channel does not do: always off, and not to be switched on."""
_READ_ONLY: Final = frozenset({"id", "lastHeartbeatDateTime", "partnerState", "shieldwall"})


_CONNECTOR: Final = resource("MobileThreatDefenseConnector", connector(_NEVER_DONE), meaning="Defender for Endpoint.")
_CONNECTOR_CHANGES: Final = body(
    "MobileThreatDefenseConnectorChanges",
    {name: schema for name, schema in connector(_NEVER_DONE).items() if name not in _READ_ONLY},
    passed_over=_READ_ONLY,
)


class _Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What may be changed of the connector."""

    microsoft_defender_for_endpoint_attach_enabled: bool | UnsetType = UNSET
    windows_enabled: bool | UnsetType = UNSET
    mac_enabled: bool | UnsetType = UNSET


@get(_PATH, opt=_READ | needs(ResourceAction.READ_CONNECTORS, Reach.OPEN) | lists(_CONNECTOR), sync_to_thread=True)
def list_connectors(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the connectors: there is one."""
    query = query_of(request)
    with services.database.read() as connection:
        resource = _connector(connection, services)
    return list_answer(services, request, query, [resource])


@get(_ONE, opt=_READ | needs(ResourceAction.READ_CONNECTORS, Reach.OPEN) | shows(_CONNECTOR), sync_to_thread=True)
def get_connector(services: Services, request: GraphRequest, connector_id: FromPath[str]) -> Response[bytes]:
    """Return the connector."""
    query = query_of(request)
    _check(connector_id)
    with services.database.read() as connection:
        resource = _connector(connection, services)
    return answer(query.shape(resource))


@patch(
    _ONE,
    opt=_WRITE
    | needs(ResourceAction.UPDATE_CONNECTORS, sensitive=True)
    | changes(_CONNECTOR, takes=_CONNECTOR_CHANGES),
    sync_to_thread=True,
)
def change_connector(
    services: Services, request: GraphRequest, connector_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Switch this channel on or off, as a whole or for a platform; devices are taken and released at once."""
    _check(connector_id)
    switches = _switches(members_of(request, body))
    with services.database.write() as connection:
        acting = acting_for(services, request)
        enforcement_scope.change_scope(connection, acting, lambda scope: switched(scope, switches))
        resource = _connector(connection, services)
    return answer(resource)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_connectors, get_connector, change_connector)


def switched(scope: EnforcementScope, switches: _Switches) -> EnforcementScope:
    """Lay switches over a scope. A platform that is on already keeps which of its devices are taken."""
    attached = switches.microsoft_defender_for_endpoint_attach_enabled
    return msgspec.structs.replace(
        scope,
        is_allowed=scope.is_allowed if attached is UNSET else attached,
        windows=_coverage(scope.windows, switches.windows_enabled),
        windows_server=_coverage(scope.windows_server, switches.windows_enabled),
        mac_os=_coverage(scope.mac_os, switches.mac_enabled),
    )


def _coverage(present: Coverage, enabled: bool | UnsetType) -> Coverage:
    if enabled is UNSET or enabled is (present is not Coverage.OFF):
        return present
    return Coverage.TAGGED if enabled else Coverage.OFF


def _switches(members: Mapping[str, Any]) -> _Switches:
    """Read a change; what says what is so anyway is no change. Raises: InvalidRequestError, InvalidJsonError."""
    for name in _NEVER_DONE:
        if members.get(name):
            raise InvalidRequestError(f"{name} cannot be switched on: this channel does not do that.")
    threshold = members.get("partnerUnresponsivenessThresholdInDays", INACTIVE_AFTER.days)
    if threshold != INACTIVE_AFTER.days:
        raise InvalidRequestError(f"partnerUnresponsivenessThresholdInDays is {INACTIVE_AFTER.days} here.")
    told = {*_NEVER_DONE, *_READ_ONLY, "partnerUnresponsivenessThresholdInDays"}
    return convert({name: value for name, value in members.items() if name not in told}, _Switches)


def _check(connector_id: str) -> None:
    if connector_id.lower() != CONNECTOR_ID:
        raise NotFoundError(f"There is no connector {connector_id[:64]!r}.")


def _connector(connection: Connection, services: AdminServices) -> Json:
    scope = enforcement_scope.get_scope(connection, services.tenant.id)
    heartbeat = onboarding_states.last_check_in(connection, services.tenant.id)
    return {
        "id": CONNECTOR_ID,
        "partnerState": partner_state(scope, heartbeat, services.clock.now()),
        "lastHeartbeatDateTime": moment(heartbeat),
        "microsoftDefenderForEndpointAttachEnabled": scope.is_allowed,
        "windowsEnabled": {scope.windows, scope.windows_server} != {Coverage.OFF},
        "macEnabled": scope.mac_os is not Coverage.OFF,
        "partnerUnresponsivenessThresholdInDays": INACTIVE_AFTER.days,
        **dict.fromkeys(_NEVER_DONE, False),
    }
