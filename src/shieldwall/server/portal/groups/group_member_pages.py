"""The devices of a group: found, added, removed, written to a file; and why a device is one of them or is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import ColumnElement, Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, GroupId, parse_device_id, parse_group_id
from shieldwall.policy.membership import parse_rule
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_devices
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, caller_of, sight_of
from shieldwall.server.directory import assigned_members, groups
from shieldwall.server.directory.group_rules import evaluate
from shieldwall.server.inventory import machine_export, machines
from shieldwall.server.inventory.machines import Machine, Wanted
from shieldwall.server.inventory.table_export import Table, extension
from shieldwall.server.portal.forms import InvalidFormError, lines, named_devices
from shieldwall.server.portal.groups.words import CAUSES
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.paging import PAGE_SIZE, page_of
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.work.progress import File, Progress
from shieldwall.server.portal.work.tables import write_table
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices as stored_devices
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.groups.group_members import Placed
from shieldwall.server.storage.inventory import inventory_search
from shieldwall.server.storage.records import MembershipEvent, Page, ProcessingState

_ONE: Final = "/groups/{group_id:str}"
_MOST_ADDED: Final = 200
_OFFERED: Final = 10
_AT_ONCE: Final = 500
_LONGEST_SEARCH: Final = 256
_LOOKED_AT: Final = 2_000
"""Members that a search goes through at a time."""


@get(_ONE + "/members", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.OBJECT), sync_to_thread=True)
def list_members(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]
) -> Response[str]:
    """Show the devices of a group that fit a search, and devices that could be added."""
    wanted, sight = parse_group_id(group_id), sight_of(request)
    asked = {name: _plain(request.query_params.get(name, "")) for name in ("search", "add")}
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, wanted)
        behind = group_members.place_of(connection, _after(page_of(request)))
        upto = group_members.place_behind(connection, wanted, behind, _LOOKED_AT) if asked["search"] else None
        where = (*sight.listed_devices(), *inventory_search.searching(asked["search"]), *_as_far_as(upto))
        placed = group_members.find_members(connection, wanted, where, PAGE_SIZE, behind=behind)
        ids = [each.device_id for each in placed]
        found = machines.describe(connection, ids, machines.filter_at(services.clock.now()).inactive_before)
        offered = _offered(services, connection, sight, group.id, asked["add"]) if asked["add"] else []
    last = placed[-1] if len(placed) == PAGE_SIZE else upto
    after = None if last is None else last.device_id
    following = None if after is None else f"?{urlencode({'search': asked['search'], 'after': after})}"
    return rendering.page(
        request,
        "groups/group_members.html",
        section="/groups",
        live=(f"group:{group.id}",),
        group=group,
        members=[found[each] for each in ids if each in found],
        asked=asked,
        offered=offered,
        following=following,
        looked_at=_LOOKED_AT if upto is not None and len(ids) < PAGE_SIZE else None,
        paged="after" in request.query_params,
    )


@post(_ONE + "/members/add", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT), sync_to_thread=True)
def add_members(services: Services, request: PageRequest, group_id: FromPath[str], form: Form) -> Redirect:
    """Let devices belong to a group, named one a line by name or id; those that do already stay."""
    check_form(services, request, form)
    names = (*lines(form, "devices"), *lines(form, "device"))
    with services.database.write() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        if not 0 < len(names) <= _MOST_ADDED:
            raise InvalidFormError(f"Devices: between 1 and {_MOST_ADDED} of them stand here, one a line.")
        found = named_devices(connection, sight_of(request), names, services.clock.now())
        require_devices(connection, request, [device.id for device in found])
        there = group_members.members_of_these(connection, group.id, [device.id for device in found])
        joining = {device.id for device in found} - there
        assigned_members.join_members(connection, acting_for(services, request), group.id, joining)
    return redirect(f"/groups/{group.id}/members")


@post(_ONE + "/members/remove", opt=SIGNED_IN | needs(ResourceAction.UPDATE_GROUPS, Reach.OBJECT), sync_to_thread=True)
def remove_member(services: Services, request: PageRequest, group_id: FromPath[str], form: Form) -> Redirect:
    """Let a device belong to a group no more."""
    check_form(services, request, form)
    with services.database.write() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        device_id = parse_device_id(form.get("device", ""))
        require_devices(connection, request, [device_id])
        assigned_members.remove_member(connection, acting_for(services, request), group.id, device_id)
    return redirect(f"/groups/{group.id}/members")


@post(_ONE + "/members/export", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.OBJECT), sync_to_thread=True)
def export_members(
    services: Services, request: PageRequest, group_id: FromPath[str], works: Working, form: Form
) -> Redirect:
    """Begin to write the devices of a group that fit to a file, csv or json."""
    check_form(services, request, form)
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
    rows = _rows(services, sight_of(request), group.id, form.get("search", "")[:_LONGEST_SEARCH])
    write = partial(_write, rows, extension(form.get("format", "")))
    title, values = marked("Export of the devices of %(group)s"), {"group": group.display_name}
    work = works.start(caller_of(request), title, write, origin=f"/groups/{group.id}/members", values=values)
    return redirect(f"/work/{work.id}")


@get(_ONE + "/why", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.OBJECT), sync_to_thread=True)
def explain_membership(
    services: Services, rendering: Renderer, request: PageRequest, group_id: FromPath[str]
) -> Response[str]:
    """Say why a device belongs to a group, or why it does not: what each part of the rule says, and what happened."""
    wanted, sight, tenant = parse_group_id(group_id), sight_of(request), services.tenant.id
    named = request.query_params.get("device", "")[:_LONGEST_SEARCH].strip()
    device: Device | None = None
    error: ShieldwallError | None = None
    verdict, belongs = None, False
    moves: tuple[MembershipEvent, ...] = ()
    with services.database.read() as connection:
        group = groups.get_group(connection, tenant, wanted)
        if named:
            try:
                device = _seen_device(services, connection, sight, named)
            except ShieldwallError as found:
                error = found
        if device is not None:
            belongs = group_members.is_member(connection, group.id, device.id)
            if group.membership_rule is not None:
                sees = partial(sight.groups_among, connection)
                verdict = evaluate(connection, tenant, device.id, parse_rule(group.membership_rule), sees)
            every = groups.history_of_device(connection, tenant, device.id, Page(size=_AT_ONCE))
            moves = tuple(each for each in every if each.group_id == group.id)
    return rendering.page(
        request,
        "groups/group_why.html",
        status=200 if error is None else 400,
        section="/groups",
        group=group,
        is_paused=group.processing_state is ProcessingState.PAUSED,
        named=named,
        device=device,
        error=error,
        belongs=belongs,
        verdict=verdict,
        moves=moves,
        causes=CAUSES,
    )


HANDLERS: Final[tuple[Any, ...]] = (list_members, add_members, remove_member, export_members, explain_membership)


def _plain(text: str) -> str:
    """Return what is searched for, without what no device can have in its name and one engine takes for an end."""
    return text.replace("\0", " ")[:_LONGEST_SEARCH].strip()


def _after(page: Page) -> DeviceId | None:
    return None if page.after is None else DeviceId(page.after)


def _as_far_as(upto: Placed | None) -> tuple[ColumnElement[bool], ...]:
    return () if upto is None else (group_members.up_to(upto),)


def _offered(
    services: AdminServices, connection: Connection, sight: Sight, group_id: GroupId, text: str
) -> list[Machine]:
    """Return some devices that fit a search and do not belong to a group."""
    asked = replace(machines.filter_at(services.clock.now()), search=text, only=sight.listed_devices())
    found = machines.list_machines(connection, services.tenant.id, Wanted(filter=asked, size=_OFFERED * 3))
    there = group_members.members_of_these(connection, group_id, [each.device.id for each in found])
    return [each for each in found if each.device.id not in there][:_OFFERED]


def _seen_device(services: AdminServices, connection: Connection, sight: Sight, named: str) -> Device:
    """Find a device by name or id, if it is seen. Raises: InvalidFormError, NotFoundError."""
    [device] = named_devices(connection, sight, [named], services.clock.now())
    if device.id not in sight.devices_among(connection, [device.id]):
        raise InvalidFormError(
            f"No device is called {named[:64]!r}.", remedy="Give the id; the device's page shows it."
        )
    return device


def _write(rows: Iterator[tuple[Any, ...]], kind: str, progress: Progress) -> File:
    return write_table(progress, Table("group-devices", machine_export.COLUMNS, rows), kind)


def _rows(services: AdminServices, sight: Sight, group_id: GroupId, search: str) -> Iterator[tuple[Any, ...]]:
    where = (*sight.listed_devices(), *inventory_search.searching(search))
    behind = 0
    inactive_before = machines.filter_at(services.clock.now()).inactive_before
    while True:
        with services.database.read() as connection:
            placed = group_members.find_members(connection, group_id, where, _AT_ONCE, behind=behind)
            read = stored_devices.find_many(connection, [each.device_id for each in placed])
            found = machines.describe_read(connection, read, inactive_before)
        for device_id, _ in placed:
            if device_id in found:
                yield tuple(machine_export.row_of(found[device_id]).values())
        if len(placed) < _AT_ONCE:
            return
        behind = placed[-1].place
