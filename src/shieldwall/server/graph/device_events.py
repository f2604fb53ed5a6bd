"""``/security/deviceEvents`` (ours): what happened on devices, as they told it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.sight import Sight, showing
from shieldwall.server.graph.describing import lists, shows
from shieldwall.server.graph.fields.security import DEVICE_EVENT_FIELDS
from shieldwall.server.graph.requests import GraphRequest, Services, answer, page_answer, query_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.alerts import DEVICE_EVENT
from shieldwall.server.manager import device_events
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.devices.device_events import EventRecord

PATH: Final = "/security/deviceEvents"
_READ: Final = allow("SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All")


@get(
    PATH,
    opt=_READ | needs(ResourceAction.READ_ALERTS, Reach.LISTED) | showing(Sight.device_events) | lists(DEVICE_EVENT),
    sync_to_thread=True,
)
def list_device_events(services: Services, request: GraphRequest) -> Response[bytes]:
    """List what happened on devices, in pages; `$filter=deviceId eq '…'` shows one device (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = device_events.list_events(connection, services.tenant.id, query.page_of(DEVICE_EVENT_FIELDS))
        named = _named(connection, found)
    rows = [(each.id, _resource(each, named)) for each in found]
    return page_answer(services, request, query, rows, DEVICE_EVENT_FIELDS)


@get(
    PATH + "/{device_event_id:str}",
    opt=_READ | needs(ResourceAction.READ_ALERTS, Reach.OBJECT) | shows(DEVICE_EVENT),
    sync_to_thread=True,
)
def get_device_event(services: Services, request: GraphRequest, device_event_id: FromPath[str]) -> Response[bytes]:
    """Return one thing that happened on a device (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = device_events.get_event(connection, services.tenant.id, device_event_id.lower())
        resource = _resource(found, _named(connection, [found]))
    return answer(query.shape(resource, DEVICE_EVENT_FIELDS))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_device_events, get_device_event)


def _named(connection: Connection, events: Iterable[EventRecord]) -> Mapping[DeviceId, Device]:
    return {device.id: device for device in devices.find_many(connection, {event.device_id for event in events})}


def _resource(event: EventRecord, named: Mapping[DeviceId, Device]) -> Json:
    device = named.get(event.device_id)
    return {
        "id": event.id,
        "tenantId": event.tenant_id,
        "deviceId": event.device_id,
        "deviceName": None if device is None else device.display_name,
        "eventDateTime": moment(event.at),
        "receivedDateTime": moment(event.received_at),
        "category": event.kind,
        "severity": event.severity,
        "title": event.title,
        "subject": event.subject,
        "times": event.times,
        "details": strict_json.decode_any(event.details.encode()),
    }
