"""The page of the alerts: what somebody should look at, the newest first, and closing what was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.contract import strict_json
from shieldwall.contract.messages import TamperAttempt
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, needs
from shieldwall.server.manager import alerting
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.sight import sight_of
from shieldwall.server.storage import alerts, devices
from shieldwall.server.storage.alerts import Alert

MOST_SHOWN: Final = 200
_MOST_SUBJECTS: Final = 5
_ATTEMPTS: Final = "attempts"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """An alert, the name of its device, and what it was about."""

    alert: Alert
    device_name: str
    subjects: tuple[str, ...]


@get("/alerts", opt=SIGNED_IN | needs(ResourceAction.READ_ALERTS, Reach.LISTED), sync_to_thread=True)
def list_alerts(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the open alerts."""
    tenant, seen = services.tenant.id, sight_of(request).alerts()
    with services.database.read() as connection:
        found = alerts.newest_open(connection, tenant, MOST_SHOWN, seen)
        count = alerts.count_open(connection, tenant, seen)
        concerned = devices.find_many(connection, {each.device_id for each in found if each.device_id is not None})
    names = {device.id: device.display_name for device in concerned}
    rows = [
        AlertRow(
            alert=each,
            device_name="" if each.device_id is None else names.get(each.device_id, each.device_id),
            subjects=_subjects(each),
        )
        for each in found
    ]
    return rendering.page(request, "overview/alerts.html", section="/alerts", alerts=rows, count=count)


@post(
    "/alerts/{alert_id:str}/resolve",
    opt=SIGNED_IN | needs(ResourceAction.UPDATE_ALERTS, Reach.OBJECT),
    sync_to_thread=True,
)
def resolve_alert(services: Services, request: PageRequest, alert_id: FromPath[str], form: Form) -> Redirect:
    """Close an alert."""
    check_form(services, request, form)
    with services.database.write() as connection:
        alerting.resolve(connection, acting_at(services, request), alert_id)
    return redirect("/alerts")


def _subjects(alert: Alert) -> tuple[str, ...]:
    """Name what was tried, as far as the alert says; others have details of other kinds."""
    details = strict_json.decode_any(alert.details.encode())
    attempts = details.get(_ATTEMPTS, ()) if isinstance(details, dict) else ()
    found = [strict_json.convert(each, TamperAttempt).subject for each in attempts]
    return tuple(dict.fromkeys(reversed(found)))[:_MOST_SUBJECTS]


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_alerts,
    resolve_alert,
)
