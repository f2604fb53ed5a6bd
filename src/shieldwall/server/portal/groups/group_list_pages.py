"""The list of groups, searched, narrowed to a kind and written to a file, and a new group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy import ColumnElement

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, caller_of, sight_of
from shieldwall.server.directory import groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.inventory.table_export import Table, extension
from shieldwall.server.portal.forms import description_of
from shieldwall.server.portal.groups.rule_forms import (
    Said,
    choices,
    fault_of,
    rule_of,
    what_is_said,
    with_condition,
)
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.paging import PAGE_SIZE
from shieldwall.server.portal.policies.links import Asked, asked_by, following, page_after
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.views import GroupRow
from shieldwall.server.portal.work.progress import File, Progress
from shieldwall.server.portal.work.tables import write_table
from shieldwall.server.storage.groups import groups as stored_groups
from shieldwall.server.storage.groups.group_members import count_members
from shieldwall.server.storage.groups.groups import GroupOrder
from shieldwall.server.storage.records import Page
from shieldwall.trust import moments

MOST_COUNTED: Final = 2_000
KINDS: Final = {
    "assigned": marked("Assigned"),
    "dynamic": marked("Dynamic"),
    "paused": marked("Dynamic, paused"),
}
_COLUMNS: Final = ("id", "name", "description", "membership", "rule", "ruleProcessing", "devices", "created")
_LONGEST_SEARCH: Final = 200
_NAMES: Final = ("search", "kind", "sort")
"""What the address of the list may say."""
_SORTS: Final = tuple(f"{sign}{order}" for order in GroupOrder for sign in ("", "-"))


@get("/groups", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.LISTED), sync_to_thread=True)
def list_groups(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the groups that fit what is asked."""
    sight, asked = sight_of(request), asked_by(request, *_NAMES)
    members = sight.devices()
    page = replace(page_after(asked), where=(*sight.groups(), *_conditions(asked)))
    order, descending = _order_of(asked)
    with services.database.read() as connection:
        found = groups.list_groups(connection, services.tenant.id, page, order, descending=descending)
        rows = [
            GroupRow(
                group=group,
                member_count=count_members(connection, group.id, members, most=MOST_COUNTED + 1),
            )
            for group in found
        ]
    return rendering.page(
        request,
        "groups/groups.html",
        section="/groups",
        live=("groups",),
        groups=rows,
        asked=asked,
        order=order.value,
        descending=descending,
        kinds=KINDS,
        most_counted=MOST_COUNTED,
        **following(asked, [group.id for group in found]),
    )


@post("/groups/export", opt=SIGNED_IN | needs(ResourceAction.READ_GROUPS, Reach.LISTED), sync_to_thread=True)
def export_groups(services: Services, request: PageRequest, works: Working, form: Form) -> Redirect:
    """Begin to write the groups that fit to a file, csv or json."""
    check_form(services, request, form)
    asked = Asked({name: form.get(name, "").strip()[:_LONGEST_SEARCH] for name in _NAMES})
    write = partial(_write, services, sight_of(request), asked, extension(form.get("format", "")))
    work = works.start(caller_of(request), marked("Export of groups"), write, origin="/groups")
    return redirect(f"/work/{work.id}")


@get("/groups/new", opt=SIGNED_IN | needs(ResourceAction.CREATE_GROUPS), sync_to_thread=True)
def new_group(rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the form of a new group."""
    return _form(rendering, request, {})


@post("/groups/new", opt=SIGNED_IN | needs(ResourceAction.CREATE_GROUPS), sync_to_thread=True, status_code=200)
def create_group(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Make a group as the form says, or add a condition to its rule, or say what is wrong."""
    check_form(services, request, form)
    is_dynamic = form.get("membership") == "dynamic"
    rule, sight = form.get("rule", ""), sight_of(request)
    try:
        rule = rule_of(form)
        if "add" in form or "check" in form:
            with services.database.read() as connection:
                rule = with_condition(connection, sight, rule, form) if "add" in form else rule
                said = what_is_said(services, connection, sight, None, rule)
            return _form(rendering, request, {**form, "rule": rule, "membership": "dynamic"}, said)
        draft = GroupDraft(
            display_name=form.get("name", "").strip(),
            description=description_of(form),
            mail_nickname=groups.nickname_of(form.get("name", "")),
            membership_rule=rule if is_dynamic else None,
        )
        with services.database.write() as connection:
            made = groups.create_group(connection, acting_for(services, request), draft)
    except ShieldwallError as error:
        return _form(rendering, request, {**form, "rule": rule}, Said(fault=fault_of(rule, error)), status=400)
    return redirect(f"/groups/{made.id}")


HANDLERS: Final[tuple[Any, ...]] = (list_groups, export_groups, new_group, create_group)


def _form(
    rendering: Renderer, request: PageRequest, entered: dict[str, str], said: Said | None = None, status: int = 200
) -> Response[str]:
    return rendering.page(
        request,
        "groups/group_new.html",
        status=status,
        section="/groups",
        entered={name: entered.get(name, "") for name in ("name", "description", "membership", "rule")},
        said=said or Said(),
        **choices(),
    )


def _order_of(asked: Asked) -> tuple[GroupOrder, bool]:
    """Read in which order the list is wanted, and whether backwards; by name where nothing says so."""
    sort = asked.one_of("sort", _SORTS) or GroupOrder.NAME
    return GroupOrder(sort.removeprefix("-")), sort.startswith("-")


def _conditions(asked: Asked) -> tuple[ColumnElement[bool], ...]:
    found = [stored_groups.named_like(asked["search"])] if asked["search"] else []
    match asked["kind"]:
        case "assigned":
            found.append(stored_groups.of_kind(dynamic=False))
        case "dynamic":
            found.append(stored_groups.of_kind(dynamic=True))
        case "paused":
            found.append(stored_groups.of_kind(dynamic=True, paused=True))
        case _:
            pass
    return tuple(found)


def _write(services: AdminServices, sight: Sight, asked: Asked, kind: str, progress: Progress) -> File:
    return write_table(progress, Table("groups", _COLUMNS, _rows(services, sight, asked)), kind)


def _rows(services: AdminServices, sight: Sight, asked: Asked) -> Iterator[tuple[Any, ...]]:
    members = sight.devices()
    page = Page(size=PAGE_SIZE, where=(*sight.groups(), *_conditions(asked)))
    order, descending = _order_of(asked)
    while True:
        with services.database.read() as connection:
            found = groups.list_groups(connection, services.tenant.id, page, order, descending=descending)
            counts = [count_members(connection, group.id, members) for group in found]
        for group, count in zip(found, counts, strict=True):
            membership = "dynamic" if group.is_dynamic else "assigned"
            processing = group.processing_state.value if group.is_dynamic else None
            rule, made = group.membership_rule, moments.write(group.created_at)
            yield group.id, group.display_name, group.description, membership, rule, processing, count, made
        if len(found) < PAGE_SIZE:
            return
        page = replace(page, after=found[-1].id)
