"""The pages of devices: the list with search, filters and sorting, its export, and one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId, parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, needs
from shieldwall.server.directory import devices, groups
from shieldwall.server.directory.enrollment import enrollments
from shieldwall.server.gates import facts_of_device
from shieldwall.server.inventory import machine_export, machines
from shieldwall.server.inventory.machine_queries import (
    ORDERING,
    PARAMETERS,
    InvalidMachineQueryError,
    read_filter,
    read_order,
)
from shieldwall.server.inventory.machines import Wanted, onboarding_status
from shieldwall.server.manager import protection, statuses, sync
from shieldwall.server.manager.statuses import DeviceEffect
from shieldwall.server.manager.summaries import summaries
from shieldwall.server.portal.devices.device_actions import possible
from shieldwall.server.portal.devices.device_twins import twin_rows
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import HEADERS, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.views import HistoryRow, effective_rows, history_rows, machine_row
from shieldwall.server.portal.words import enrollment, managed_by, registration
from shieldwall.server.sight import Sight, sight_of
from shieldwall.server.storage import audit, device_events, membership_events, packages
from shieldwall.server.storage import groups as stored_groups
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory import Filter
from shieldwall.server.storage.records import Page

_PAGE_SIZE: Final = 50
_HISTORY: Final = 20
_EVENTS: Final = 50
_SHOWN_FACETS: Final = ("health", "state", "os", "managedBy")
_KNOWN: Final = frozenset({*PARAMETERS, *ORDERING})


@get("/devices", opt=SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.LISTED), sync_to_thread=True)
def list_devices(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the devices that fit what is asked."""
    asked = _asked(request)
    after = request.query_params.get("after")
    fitting, order = _seen(request, read_filter(asked, services.clock.now())), read_order(asked)
    wanted = Wanted(filter=fitting, order=order, cursor=after, size=_PAGE_SIZE)
    tenant = services.tenant.id
    with services.database.read() as connection:
        found = machines.list_machines(connection, tenant, wanted)
        standing = summaries(connection, [each.device for each in found])
        count = machines.count_machines(connection, tenant, fitting)
        facets: Mapping[str, Mapping[str, int]] = {}
        if "x-requested-for" not in request.headers:  # a refresh takes the table alone, and counting costs more than it
            facets = machines.facets(connection, tenant, fitting, _SHOWN_FACETS)
    following = found[-1].cursor if len(found) == _PAGE_SIZE else None
    return rendering.page(
        request,
        "devices/devices.html",
        section="/devices",
        devices=[machine_row(each, standing[each.device.id]) for each in found],
        device_count=count,
        facets={name: dict(sorted(counts.items())) for name, counts in facets.items()},
        asked={name: list(values) for name, values in asked.items()},
        device_states=[each.value for each in DeviceState],
        query=_query(asked),
        following=None if following is None else f"?{_query({'after': [following], **asked})}",
        paged=after is not None,
    )


@get(
    "/devices/export/{kind:str}", opt=SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.LISTED), sync_to_thread=True
)
def export_devices(services: Services, request: PageRequest, kind: FromPath[str]) -> Stream:
    """Write the devices that fit as one file, csv or json."""
    asked = _asked(request)
    if kind not in {"csv", "json"}:
        raise InvalidMachineQueryError("An export is csv or json.")
    fitting = _seen(request, read_filter(asked, services.clock.now()))
    found = machines.all_machines(services.database, services.tenant.id, fitting, read_order(asked))
    write = machine_export.as_csv if kind == "csv" else machine_export.as_json
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="devices.{kind}"'}
    return Stream(write(found), media_type="text/csv" if kind == "csv" else "application/json", headers=headers)


@get("/devices/{device_id:str}", opt=SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.OBJECT), sync_to_thread=True)
def show_device(
    services: Services, rendering: Renderer, request: PageRequest, device_id: FromPath[str]
) -> Response[str]:
    """Show one device: how it is, who manages it and why, what is in effect, who set it, what lost, what happened."""
    wanted, tenant, now = parse_device_id(device_id), services.tenant.id, services.clock.now()
    sight = sight_of(request)
    with services.database.read() as connection:
        device = devices.get_device(connection, tenant, wanted)
        effect = statuses.effective_of(
            connection, services.catalog, tenant, wanted, partial(sight.policies_among, connection)
        )
        memberships = groups.groups_of(connection, tenant, wanted)
        seen_groups = sight.groups_among(connection, [group.id for group in memberships])
        is_protected = protection.is_device_protected(connection, device)
        enrolled = enrollments(connection, [device])[device.id]
        machine = machines.describe(connection, [device.id], machines.filter_at(now).inactive_before)[device.id]
        package = None if device.package_id is None else packages.find(connection, device.package_id)
        alike = twin_rows(connection, tenant, device, sight)
        facts = facts_of_device(connection, tenant, wanted)
        is_excluded = device.id in protection.get_settings(connection, tenant).excluded
        history = _history(connection, tenant, device.id, sight)
        may_see_events = sight.may(ResourceAction.READ_ALERTS, facts)
        told = device_events.newest_of_device(connection, tenant, device.id, _EVENTS) if may_see_events else ()
    return rendering.page(
        request,
        "devices/device.html",
        section="/devices",
        device=device,
        effect=effect,
        can_sync=device.state is DeviceState.ACTIVE and sight.may(ResourceAction.SYNC_DEVICES, facts),
        managed_by=managed_by(device),
        enrollment=enrollment(device, enrolled, checked_in=effect.check_in.last_check_in is not None),
        remedy="" if enrolled.is_managed else enrolled.remedy,
        registration=registration(device),
        health=machine.health.value,
        onboarding=onboarding_status(device),
        standing=machine.standing,
        package=package,
        twins=alike,
        can_keep=device.state in {DeviceState.ACTIVE, DeviceState.QUARANTINED}
        and sight.may(ResourceAction.DELETE_DEVICES, facts),
        history=history,
        may_see_events=may_see_events,
        events=told,
        is_protected=is_protected,
        is_excluded=is_excluded,
        actions=[each for each in possible(device, is_excluded=is_excluded) if sight.may(each.action, facts)],
        troubleshooting_until=_future(device.troubleshooting_until, now),
        groups=[group.display_name for group in memberships if group.id in seen_groups],
        settings=effective_rows(services.catalog, effect.settings),
        notices=_notices(effect),
    )


@post(
    "/devices/{device_id:str}/sync",
    opt=SIGNED_IN | needs(ResourceAction.SYNC_DEVICES, Reach.OBJECT),
    sync_to_thread=True,
)
def sync_device(services: Services, request: PageRequest, device_id: FromPath[str], form: Form) -> Redirect:
    """Ask a device to check in now."""
    check_form(services, request, form)
    with services.database.write() as connection:
        device = devices.get_device(connection, services.tenant.id, parse_device_id(device_id))
        sync.request_sync(connection, [device.id], services.clock.now())
    return redirect(f"/devices/{device.id}")


def _asked(request: PageRequest) -> dict[str, Sequence[str]]:
    """Return what the form asks; what was left blank is not asked. Raises: InvalidMachineQueryError."""
    given = {name: request.query_params.getall(name) for name in request.query_params}
    if unknown := set(given) - _KNOWN - {"after"}:
        raise InvalidMachineQueryError(f"{min(unknown)[:64]!r} is nothing that devices can be asked for.")
    blank_free = {name: [value for value in values if value] for name, values in given.items() if name in _KNOWN}
    return {name: values for name, values in blank_free.items() if values}


def _seen(request: PageRequest, fitting: Filter) -> Filter:
    """Leave out the devices that the caller does not see."""
    return replace(fitting, only=sight_of(request).listed_devices())


def _query(asked: Mapping[str, Sequence[str]]) -> str:
    return urlencode(asked, doseq=True)


def _history(connection: Connection, tenant_id: TenantId, device_id: DeviceId, sight: Sight) -> list[HistoryRow]:
    """Return what happened to a device, newest first: acts of people and programs, joining and leaving groups."""
    page = Page(size=_HISTORY)
    events = audit.list_events(connection, tenant_id, page, object_id=device_id)
    seen = replace(page, where=sight.moved_groups())
    moves = membership_events.list_events(connection, tenant_id, seen, device_id=device_id)
    names = {each: stored_groups.find(connection, each) for each in {move.group_id for move in moves}}
    known = {group: record.display_name for group, record in names.items() if record is not None}
    return history_rows(events, moves, known)[:_HISTORY]


def _future(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment > now else None


def _notices(effect: DeviceEffect) -> list[str]:
    said = []
    if effect.check_in.sync_requested_at is not None:
        said.append("The device is asked to check in now.")
    if not effect.is_current and effect.policies:
        said.append("The device has not reported yet on what it shall enforce now.")
    if effect.strays:
        count = len(effect.strays)
        said.append(f"The device also reports {count} setting{'' if count == 1 else 's'} that no policy of it sets.")
    return said


HANDLERS: Final[tuple[Any, ...]] = (list_devices, export_devices, show_device, sync_device)
