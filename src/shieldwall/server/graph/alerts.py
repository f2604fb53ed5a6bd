"""``/security/alerts_v2``: what an administrator should look at, in the shape of Graph's alerts."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from litestar import Response, get, patch
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import Sight, showing
from shieldwall.server.graph.describing import changes, lists, shows
from shieldwall.server.graph.fields.security import ALERT_FIELDS
from shieldwall.server.graph.requests import GraphRequest, Services, answer, body_of, page_answer, query_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.alerts import ALERT
from shieldwall.server.manager import alerting
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events.alerts import Alert

PATH: Final = "/security/alerts_v2"
_READ: Final = allow("SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All")
_WRITE: Final = allow("SecurityAlert.ReadWrite.All")


class AlertUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alert is closed; by itself it never is."""

    status: Literal["resolved"]


@get(
    PATH,
    opt=_READ | needs(ResourceAction.READ_ALERTS, Reach.LISTED) | showing(Sight.alerts) | lists(ALERT),
    sync_to_thread=True,
)
def list_alerts(services: Services, request: GraphRequest) -> Response[bytes]:
    """List alerts, in pages; `$filter=status eq 'new'` leaves out those that are resolved."""
    query = query_of(request)
    with services.database.read() as connection:
        found = alerting.list_alerts(connection, services.tenant.id, query.page_of(ALERT_FIELDS))
        named = _devices(connection, found)
    rows = [(each.id, _resource(services.settings.public_url, each, named)) for each in found]
    return page_answer(services, request, query, rows, ALERT_FIELDS)


@get(
    PATH + "/{alert_id:str}",
    opt=_READ | needs(ResourceAction.READ_ALERTS, Reach.OBJECT) | shows(ALERT),
    sync_to_thread=True,
)
def get_alert(services: Services, request: GraphRequest, alert_id: FromPath[str]) -> Response[bytes]:
    """Return one alert."""
    query = query_of(request)
    with services.database.read() as connection:
        found = alerting.get_alert(connection, services.tenant.id, alert_id)
        resource = _resource(services.settings.public_url, found, _devices(connection, [found]))
    return answer(query.shape(resource, ALERT_FIELDS))


@patch(
    PATH + "/{alert_id:str}",
    opt=_WRITE | needs(ResourceAction.UPDATE_ALERTS, Reach.OBJECT) | changes(ALERT, takes=AlertUpdate),
    sync_to_thread=True,
)
def resolve_alert(services: Services, request: GraphRequest, alert_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Resolve an alert: set its `status` to `resolved`; what happens again is a new one."""
    body_of(request, body, AlertUpdate)
    with services.database.write() as connection:
        found = alerting.resolve(connection, acting_for(services, request), alert_id)
        resource = _resource(services.settings.public_url, found, _devices(connection, [found]))
    return answer(resource)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_alerts, get_alert, resolve_alert)


def _devices(connection: Connection, alerts: Any) -> dict[str, Device]:
    wanted = {alert.device_id for alert in alerts if alert.device_id is not None}
    return {device.id: device for device in devices.find_many(connection, wanted)}


def _resource(public_url: str, alert: Alert, named: dict[str, Device]) -> Json:
    device = named.get(alert.device_id or "")
    evidence: list[Json] = []
    if alert.device_id is not None:
        evidence.append(
            {
                "@odata.type": "#microsoft.graph.security.deviceEvidence",
                "azureAdDeviceId": alert.device_id,
                "mdeDeviceId": alert.device_id,
                "deviceDnsName": None if device is None else device.display_name,
            }
        )
    return {
        "id": alert.id,
        "tenantId": alert.tenant_id,
        "title": alert.title,
        "category": alert.kind,
        "severity": alert.severity.value,
        "status": "new" if alert.resolved_at is None else "resolved",
        "serviceSource": "shieldwall",
        "createdDateTime": moment(alert.first_at),
        "firstActivityDateTime": moment(alert.first_at),
        "lastActivityDateTime": moment(alert.last_at),
        "lastUpdateDateTime": moment(alert.resolved_at or alert.last_at),
        "resolvedDateTime": moment(alert.resolved_at),
        "alertWebUrl": f"{public_url}/alerts",
        "evidence": evidence,
        "shieldwall": {
            "times": alert.times,
            "resolvedBy": alert.resolved_by,
            "details": strict_json.decode_any(alert.details.encode()),
        },
    }
