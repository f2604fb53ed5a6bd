"""The pages of alerts: what somebody should look at, the newest first; one alert with its evidence; closing them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.ids import UUID_PATTERN, DeviceId
from shieldwall.contract.messages import TamperAttempt
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.manager import alerting
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.overview.alert_words import AREAS, SEVERITIES, STYLES, AreaWords, words_of
from shieldwall.server.portal.paging import PAGE_SIZE, page_of
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.portal.words import plain
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import alert_lists, alerts
from shieldwall.server.storage.events.alert_lists import AlertFilter
from shieldwall.server.storage.events.alerts import Alert, Severity

_READ: Final = ResourceAction.READ_ALERTS
_MOST_COUNTED: Final = 10_000
_MOST_SUBJECTS: Final = 5
_LONGEST: Final = 2_000
"""Characters of one value among the evidence."""
_LONGEST_SEARCH: Final = 256
_ATTEMPTS: Final = "attempts"
_OPEN, _RESOLVED, _ALL = "open", "resolved", "all"
_STATES: Final[Mapping[str, bool | None]] = {_OPEN: True, _RESOLVED: False, _ALL: None}
_LIST: Final = re.compile(r"/alerts(\?[\w=&%.+-]*)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """An alert, the name of its device, what it was about and what to do."""

    alert: Alert
    device_name: str
    subjects: tuple[str, ...]
    words: AreaWords


@get("/alerts", opt=SIGNED_IN | needs(_READ, Reach.LISTED), sync_to_thread=True)
def list_alerts(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the alerts that fit what is asked, the open ones unless others are asked for."""
    tenant, seen, page = services.tenant.id, sight_of(request).alerts(), page_of(request)
    asked = _asked(request.query_params)
    wanted = _filter(asked)
    with services.database.read() as connection:
        found = alert_lists.newest(connection, tenant, wanted, size=PAGE_SIZE, after=page.after, only=seen)
        count = alert_lists.count(connection, tenant, wanted, most=_MOST_COUNTED, only=seen)
        open_count = alerts.count_open(connection, tenant, seen)
        names = _names(connection, found)
    query = urlencode(asked)
    following = urlencode({**asked, "after": found[-1].id}) if len(found) == PAGE_SIZE else None
    return rendering.page(
        request,
        "overview/alerts.html",
        section="/alerts",
        alerts=[_row(each, names) for each in found],
        count=count,
        most_counted=_MOST_COUNTED,
        open_count=open_count,
        asked=asked,
        is_asked=bool(asked),
        query=query,
        following=None if following is None else f"?{following}",
        paged=page.after is not None,
        severities=SEVERITIES,
        styles=STYLES,
        areas=AREAS,
        live=("alerts",) if page.after is None else (),
    )


@get("/alerts/{alert_id:str}", opt=SIGNED_IN | needs(_READ, Reach.OBJECT), sync_to_thread=True)
def show_alert(services: Services, rendering: Renderer, request: PageRequest, alert_id: FromPath[str]) -> Response[str]:
    """Show one alert: what was seen, what to do next, and who closed it."""
    with services.database.read() as connection:
        alert = alerting.get_alert(connection, services.tenant.id, alert_id)
        names = _names(connection, (alert,))
    return rendering.page(
        request,
        "overview/alert.html",
        section="/alerts",
        row=_row(alert, names),
        evidence=_evidence(alert),
        attempts=_attempts(alert),
        severities=SEVERITIES,
        styles=STYLES,
        live=("alerts",),
    )


@post(
    "/alerts/{alert_id:str}/resolve",
    opt=SIGNED_IN | needs(ResourceAction.UPDATE_ALERTS, Reach.OBJECT),
    sync_to_thread=True,
)
def resolve_alert(services: Services, request: PageRequest, alert_id: FromPath[str], form: Form) -> Redirect:
    """Close an alert, and go back to the list that it was closed in."""
    check_form(services, request, form)
    with services.database.write() as connection:
        alerting.resolve(connection, acting_at(services, request), alert_id)
    back = form.get("back", "")
    return redirect(back if _LIST.match(back) else "/alerts")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_alerts, show_alert, resolve_alert)


def _asked(given: Mapping[str, Any]) -> dict[str, str]:
    """Return what is asked, as far as it is known; what is as it would be anyway is left out."""
    asked = {
        "state": _one_of(given, "state", _STATES),
        "severity": _one_of(given, "severity", SEVERITIES),
        "area": _one_of(given, "area", AREAS),
        "device": str(given.get("device", "")) if re.match(UUID_PATTERN, str(given.get("device", ""))) else "",
        "search": str(given.get("search", "")).strip()[:_LONGEST_SEARCH],
    }
    return {name: value for name, value in asked.items() if value and (name, value) != ("state", _OPEN)}


def _one_of(given: Mapping[str, Any], name: str, known: Mapping[Any, object]) -> str:
    value = str(given.get(name, ""))
    return value if value in {str(each) for each in known} else ""


def _filter(asked: Mapping[str, str]) -> AlertFilter:
    severity = asked.get("severity")
    device = asked.get("device")
    return AlertFilter(
        is_open=_STATES[asked.get("state", _OPEN)],
        severity=None if severity is None else Severity(severity),
        area=asked.get("area", ""),
        device_id=None if device is None else DeviceId(device),
        text=asked.get("search", ""),
    )


def _names(connection: Connection, found: tuple[Alert, ...]) -> Mapping[str, str]:
    concerned = {each.device_id for each in found if each.device_id is not None}
    return {device.id: device.display_name for device in devices.find_many(connection, concerned)}


def _row(alert: Alert, names: Mapping[str, str]) -> AlertRow:
    return AlertRow(
        alert=alert,
        device_name="" if alert.device_id is None else names.get(alert.device_id, alert.device_id),
        subjects=tuple(dict.fromkeys(each.subject for each in reversed(_attempts(alert))))[:_MOST_SUBJECTS],
        words=words_of(alert.kind),
    )


def _details(alert: Alert) -> Mapping[str, Any]:
    details = strict_json.decode_any(alert.details.encode())
    return details if isinstance(details, dict) else {}


def _attempts(alert: Alert) -> tuple[TamperAttempt, ...]:
    """Return what was tried, as far as the alert says; others have details of other kinds."""
    return tuple(strict_json.convert(each, TamperAttempt) for each in _details(alert).get(_ATTEMPTS, ()))


def _evidence(alert: Alert) -> list[tuple[str, str]]:
    """Write out what an alert holds besides attempts, each on a line; what is within is named with it."""
    found: list[tuple[str, str]] = []
    for name, value in _details(alert).items():
        if isinstance(value, dict):
            found += [(f"{name}: {within}", plain(each)[:_LONGEST]) for within, each in value.items()]
        elif name != _ATTEMPTS:
            found.append((name, plain(value)[:_LONGEST]))
    return found
