"""One device: an overview, its policies, what is in effect, what happened, how it is enrolled; asking it to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from shieldwall.contract.enrollment import STATUSES, EnrollmentCode, EnrollmentStatus
from shieldwall.contract.ids import parse_device_id
from shieldwall.contract.status import SettingState
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.directory import devices, groups
from shieldwall.server.directory.devices import WrongDeviceStateError
from shieldwall.server.inventory.machine_queries import InvalidMachineQueryError
from shieldwall.server.inventory.machines import onboarding_status
from shieldwall.server.manager import sync, timeline
from shieldwall.server.manager.timeline import Source
from shieldwall.server.portal.devices.device_twins import twin_rows
from shieldwall.server.portal.devices.frame import Frame, frame_of
from shieldwall.server.portal.devices.remedies import Remedy, remedy_of
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.views import EffectiveRow, counts_of, effective_rows
from shieldwall.server.portal.words import STATES, enrollment, managed_by, registration
from shieldwall.server.storage.check_ins import device_reports
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.onboarding import packages

_ONE: Final = "/devices/{device_id:str}"
_READ: Final = SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.OBJECT)
_PAGE_SIZE: Final = 50
_LONGEST_SEARCH: Final = 128
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MOST_DIGITS: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingShown:
    """One setting of a device, and what to do about it."""

    row: EffectiveRow
    remedy: Remedy | None


@get(_ONE, opt=_READ, sync_to_thread=True)
def show_device(
    services: Services, rendering: Renderer, request: PageRequest, device_id: FromPath[str]
) -> Response[str]:
    """Show a device at a glance: who manages it, how it is protected, what it is, where it belongs."""
    wanted, tenant = parse_device_id(device_id), services.tenant.id
    with services.database.read() as connection:
        frame = frame_of(connection, services, request, wanted)
        device, sight = frame.device, frame.sight
        memberships = groups.groups_of(connection, tenant, wanted)
        seen = sight.groups_among(connection, [group.id for group in memberships])
        package = None if device.package_id is None else packages.find(connection, device.package_id)
        alike = twin_rows(connection, tenant, device, sight)
        reports = device_reports.newest(connection, tenant, device.id, most=device_reports.MOST_KEPT)
    return rendering.page(
        request,
        "devices/device.html",
        **frame.shown(""),
        counts=counts_of(Counter(each.state for each in frame.effect.settings)),
        managed_by=managed_by(device),
        enrollment=_enrollment(frame),
        registration=registration(device),
        onboarding=onboarding_status(device),
        package=package,
        twins=alike,
        can_keep=device.state in {DeviceState.ACTIVE, DeviceState.QUARANTINED}
        and frame.may(ResourceAction.DELETE_DEVICES),
        groups=[group for group in memberships if group.id in seen],
        reports=reports,
    )


@get(_ONE + "/policies", opt=_READ, sync_to_thread=True)
def show_policies(
    services: Services, rendering: Renderer, request: PageRequest, device_id: FromPath[str]
) -> Response[str]:
    """Show the policies of a device, each with the state it is in there."""
    with services.database.read() as connection:
        frame = frame_of(connection, services, request, parse_device_id(device_id))
        seen = frame.sight.policies_among(connection, [each.document.policy_id for each in frame.effect.policies])
    winning: Counter[str] = Counter()
    for row in effective_rows(services.catalog, frame.effect.settings):
        winning.update(wish.policy for wish in row.winners if wish.policy is not None)
    return rendering.page(
        request, "devices/device_policies.html", **frame.shown("/policies"), winning=winning, seen=seen
    )


@get(_ONE + "/settings", opt=_READ, sync_to_thread=True)
def show_settings(
    services: Services, rendering: Renderer, request: PageRequest, device_id: FromPath[str]
) -> Response[str]:
    """Show what is in effect on a device, setting by setting: value, source, what lost and why, what to do."""
    search = request.query_params.get("search", "").strip()[:_LONGEST_SEARCH]
    states = _chosen(request.query_params.getall("state", []), {each.value: each for each in SettingState}, "state")
    with services.database.read() as connection:
        frame = frame_of(connection, services, request, parse_device_id(device_id))
    rows = effective_rows(services.catalog, frame.effect.settings)
    fitting = [row for row in rows if _fits(row, search.casefold()) and (not states or row.state in states)]
    codes = {each.setting: each.reported.code or "" for each in frame.effect.settings if each.reported is not None}
    return rendering.page(
        request,
        "devices/device_settings_list.html" if "hx-request" in request.headers else "devices/device_settings.html",
        **frame.shown("/settings"),
        settings=[
            SettingShown(row=row, remedy=remedy_of(row, code=codes.get(row.setting) or _reason(frame, row)))
            for row in fitting
        ],
        counts=counts_of(Counter(row.state for row in rows)),
        state_words=STATES,
        search=search,
        chosen=states,
        number=len(rows),
    )


@get(_ONE + "/timeline", opt=_READ, sync_to_thread=True)
def show_timeline(
    services: Services, rendering: Renderer, request: PageRequest, device_id: FromPath[str]
) -> Response[str]:
    """Show what happened to a device, newest first: check-ins, reports, changes, groups, events."""
    given = request.query_params
    chosen = _chosen(given.getall("source", []), {each.value: each for each in Source}, "source")
    before = _moment(given.get("before"))
    with services.database.read() as connection:
        frame = frame_of(connection, services, request, parse_device_id(device_id))
        open_to = [each for each in Source if each is not Source.EVENTS or frame.may(ResourceAction.READ_ALERTS)]
        found = timeline.timeline(
            connection,
            frame.device,
            timeline.Asked(
                sources=[each for each in open_to if not chosen or each in chosen],
                before=before,
                size=_PAGE_SIZE,
                seen_groups=frame.sight.moved_groups(),
            ),
        )
    query: list[tuple[str, str]] = [("source", each.value) for each in chosen]
    older = None if found.before is None else f"?{urlencode([*query, ('before', _written(found.before))])}"
    return rendering.page(
        request,
        "devices/device_timeline_list.html" if "hx-request" in request.headers else "devices/device_timeline.html",
        **frame.shown("/timeline"),
        entries=[(type(entry).__name__, entry) for entry in found.entries],
        sources=open_to,
        chosen=chosen,
        following=older,
        newest=f"?{urlencode(query)}" if before is not None else None,
    )


@get(_ONE + "/enrollment", opt=_READ, sync_to_thread=True)
def show_enrollment(
    services: Services, rendering: Renderer, request: PageRequest, device_id: FromPath[str]
) -> Response[str]:
    """Show how a device is enrolled: the code, what it means here, what to do; and the identity it has."""
    with services.database.read() as connection:
        frame = frame_of(connection, services, request, parse_device_id(device_id))
        device = frame.device
        package = None if device.package_id is None else packages.find(connection, device.package_id)
    code = int(frame.enrolled.code)
    return rendering.page(
        request,
        "devices/device_enrollment.html",
        **frame.shown("/enrollment"),
        enrollment=_enrollment(frame),
        code=code,
        published=_published(code),
        registration=registration(device),
        managed_by=managed_by(device),
        onboarding=onboarding_status(device),
        package=package,
        is_gone=device.state in {DeviceState.DISABLED, DeviceState.RETIRED},
    )


@post(_ONE + "/sync", opt=SIGNED_IN | needs(ResourceAction.SYNC_DEVICES, Reach.OBJECT), sync_to_thread=True)
def sync_device(services: Services, request: PageRequest, device_id: FromPath[str], form: Form) -> Redirect:
    """Ask a device to check in now."""
    check_form(services, request, form)
    with services.database.write() as connection:
        device = devices.get_device(connection, services.tenant.id, parse_device_id(device_id))
        if device.state is not DeviceState.ACTIVE:
            raise WrongDeviceStateError(f"The device {device.display_name!r} is {device.state}: it does not check in.")
        sync.ask(connection, acting_for(services, request), [device])
    return redirect(f"/devices/{device.id}")


def _enrollment(frame: Frame) -> str:
    return enrollment(frame.device, frame.enrolled, checked_in=frame.effect.check_in.last_check_in is not None)


def _published(code: int) -> EnrollmentStatus | None:
    return STATUSES[EnrollmentCode(code)] if code in set(EnrollmentCode) else None


def _reason(frame: Frame, row: EffectiveRow) -> str:
    """Say by a code why a setting does not apply, where the device need not be asked."""
    for each in frame.effect.settings:
        if each.setting == row.setting:
            return str(getattr(each.resolution, "reason", ""))
    return ""


def _fits(row: EffectiveRow, search: str) -> bool:
    texts = (row.name, row.category, row.setting, *row.lines, *(wish.name for wish in (*row.winners, *row.losers)))
    return all(any(word in text.casefold() for text in texts) for word in search.split())


def _chosen(given: Sequence[str], known: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    """Read words that were chosen; blank ones were not. Raises: InvalidMachineQueryError."""
    for value in given:
        if value and value not in known:
            raise InvalidMachineQueryError(f"{name} cannot be {value[:64]!r}; it is one of: {', '.join(known)}.")
    return tuple(dict.fromkeys(known[value] for value in given if value))


def _moment(text: str | None) -> datetime | None:
    """Read a moment that ``_written`` wrote. Raises: InvalidMachineQueryError."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidMachineQueryError(
            "The link to this page of the timeline is broken.", remedy="Begin with its first page."
        )
    return _EPOCH + int(text) * _MILLISECOND


def _written(moment: datetime) -> str:
    return str((moment - _EPOCH) // _MILLISECOND)


HANDLERS: Final[tuple[Any, ...]] = (
    show_device,
    show_policies,
    show_settings,
    show_timeline,
    show_enrollment,
    sync_device,
)
