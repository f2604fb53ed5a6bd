"""Reports over what a fleet was, day by day (ours): from the files that the server keeps, if it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Final, TypeAlias

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_device_id, parse_policy_id
from shieldwall.contract.status import SettingState
from shieldwall.policy.words import name_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.describing import answers
from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata.tree import Comparison, Every, Literal, Node, Path
from shieldwall.server.graph.reports.asking import Asked, ReportRequest, asked_in, check
from shieldwall.server.graph.reports.columns import count, moment, text
from shieldwall.server.graph.reports.handlers import PATH, REPORTING, table_answer
from shieldwall.server.graph.reports.sources import InMemory
from shieldwall.server.graph.reports.tables import Row, table
from shieldwall.server.graph.requests import GraphRequest, Services, body_of
from shieldwall.server.graph.resources import moment as written
from shieldwall.server.graph.schemas.reports import TABLE_ANSWER
from shieldwall.server.reporting.history.reading import History

DEFAULT_DAYS: Final = 31
"""Days that are read where the filter does not say from which on."""
_DAY: Final = (*text("Day"), moment("AsOf"))
_BY_STATE: Final = {
    SettingState.SUCCEEDED: "NumberOfSucceededDevices",
    SettingState.ERROR: "NumberOfErrorDevices",
    SettingState.CONFLICT: "NumberOfConflictDevices",
    SettingState.NOT_APPLICABLE: "NumberOfNotApplicableDevices",
    SettingState.PENDING: "NumberOfPendingDevices",
}
_COUNTS: Final = count(*_BY_STATE.values(), "NumberOfDevices")
Making: TypeAlias = Callable[[AdminServices, History, Asked, date], InMemory]


def fleet_history(_services: AdminServices, history: History, _asked: Asked, since: date) -> InMemory:
    """The devices of each day, counted by what they were: a row for each value of each property (ours)."""
    rows: list[Row] = [
        _day(each) | {"Property": each["property"], "Value": each["value"], "NumberOfDevices": each["devices"]}
        for each in history.fleet(since)
    ]
    return InMemory(columns=(*_DAY, *text("Property", "Value"), *count("NumberOfDevices")), rows=rows)


def policy_history(_services: AdminServices, history: History, asked: Asked, since: date) -> InMemory:
    """The devices of the policy that the filter names by state, day by day (ours)."""
    policy = parse_policy_id(asked.required("PolicyId"))
    names = ("policy_id", "policy_name")
    rows = [
        {"PolicyId": row["policy_id"], "PolicyName": row["policy_name"], **row}
        for row in _by_state(history.policy(policy, since), names)
    ]
    return InMemory(columns=(*_DAY, *text("PolicyId", "PolicyName"), *_COUNTS), rows=rows)


def setting_history(services: AdminServices, history: History, asked: Asked, since: date) -> InMemory:
    """The settings of the policy that the filter names, with devices by state, day by day (ours)."""
    policy = parse_policy_id(asked.required("PolicyId"))
    names = ("policy_id", "policy_name", "setting_id")
    rows = [
        {
            "PolicyId": row["policy_id"],
            "PolicyName": row["policy_name"],
            "SettingId": row["setting_id"],
            "SettingName": name_of(services.catalog, row["setting_id"]),
            **row,
        }
        for row in _by_state(history.settings(policy, since), names)
    ]
    columns = (*_DAY, *text("PolicyId", "PolicyName", "SettingId", "SettingName"), *_COUNTS)
    return InMemory(columns=columns, rows=rows)


def device_history(_services: AdminServices, history: History, asked: Asked, since: date) -> InMemory:
    """What the device that the filter names was on each day (ours)."""
    device = parse_device_id(asked.required("IntuneDeviceId"))
    rows: list[Row] = [
        _day(each)
        | {
            "IntuneDeviceId": str(each["device_id"]),
            "OS": each["os_type"],
            "OSVersion": each["os_version"],
            "DeviceState": each["state"],
            "ManagedBy": each["managed_by"],
            "EnrollmentCode": str(each["enrollment_code"]),
            "AgentVersion": each["agent_version"],
            "PolicyState": each["policy_state"],
            "RepairedSettings": each["repaired"],
            "DriftedSettings": each["drifted"],
        }
        for each in history.device(device, since)
    ]
    texts = ("IntuneDeviceId", "OS", "OSVersion", "DeviceState", "ManagedBy", "EnrollmentCode", "AgentVersion")
    columns = (*_DAY, *text(*texts, "PolicyState"), *count("RepairedSettings", "DriftedSettings"))
    return InMemory(columns=columns, rows=rows)


ACTIONS: Final[Mapping[str, Making]] = {
    "getFleetHistoryReport": fleet_history,
    "getPolicyHistoryReport": policy_history,
    "getSettingHistoryReport": setting_history,
    "getDeviceHistoryReport": device_history,
}


def _asking(action: str, making: Making) -> HTTPRouteHandler:
    @post(
        f"{PATH}/{action}",
        opt=REPORTING | answers(TABLE_ANSWER, takes=ReportRequest, fails=[404]),
        sync_to_thread=True,
        status_code=200,
    )
    def get_report(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
        asked, now = asked_in(body_of(request, body, ReportRequest)), services.clock.now()
        since = _since(asked.filter) or now.date() - timedelta(days=DEFAULT_DAYS)
        found = making(services, services.history(), asked, since)
        checked = check(asked, found.columns)
        total, rows = found.read(asked, checked)
        return table_answer(table(rows, total, asked, checked), now)

    get_report.fn.__doc__ = making.__doc__
    return get_report


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = tuple(_asking(*each) for each in ACTIONS.items())


def _since(node: Node | None) -> date | None:
    """Return from which day on a filter asks, where it says so of the whole. Raises: InvalidQueryError."""
    match node:
        case Every(parts=parts):
            return max(filter(None, map(_since, parts)), default=None)
        case Comparison(operator="ge" | "gt" | "eq", left=Path(names=(name,)), right=Literal(value=value)):
            return _day_named(str(value)) if name.lower() == "day" else None
        case _:
            return None


def _day_named(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidQueryError("Day is a text such as '2026-11-26'.") from None


def _day(row: Row) -> Row:
    return {"Day": str(row["day"]), "AsOf": written(row["as_of"])}


def _by_state(rows: Iterable[Row], names: tuple[str, ...]) -> list[Row]:
    """Make one row of the states of each day."""
    found: dict[tuple[object, ...], Row] = {}
    for each in rows:
        key = (each["day"], *(each[name] for name in names if name != "policy_name"))
        row = found.setdefault(
            key,
            _day(each) | {name: each[name] for name in names} | {column.name: 0 for column in _COUNTS},
        )
        row[_BY_STATE[SettingState(each["state"])]] += each["devices"]
        row["NumberOfDevices"] += each["devices"]
    return list(found.values())
