"""The fourth step: whom the policy reaches. Groups are found by name; filters narrow them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import AssignmentFilterId, GroupId, PolicyId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.admin.sight import caller_of, sight_of
from shieldwall.server.manager.assignments import MAX_ASSIGNMENTS, Assigned, check_assignments
from shieldwall.server.manager.unfinished import Unfinished
from shieldwall.server.portal.forms import every_value, many_fields
from shieldwall.server.portal.handling import Form, PageRequest, Renderer, Services
from shieldwall.server.portal.policies.wizard.assigned_form import read_assigned
from shieldwall.server.portal.policies.wizard.steps import (
    ONE,
    OWN,
    STAY,
    Step,
    is_forward,
    is_partial,
    kept,
    may_assign,
    onward,
    show,
    taken,
)
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.groups import groups as stored_groups
from shieldwall.server.storage.groups.groups import GroupOrder
from shieldwall.server.storage.policies import filters as stored_filters
from shieldwall.server.storage.records import AssignmentFilter, Group, Page

MOST_COUNTED: Final = 10_000
"""Members of a group are counted so far, which takes the same time in a fleet of any size."""
_FOUND: Final = 20
_MOST_FILTERS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedRow:
    """A group that is named, with its name and how many belong; ``None`` where it is not seen any more."""

    assigned: Assigned
    name: str | None
    members: int | None


@get(ONE + "/assignments", opt=OWN, sync_to_thread=True)
def show_assignments(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str]
) -> Response[str]:
    """Show whom the policy reaches, and find more groups."""
    with services.database.read() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
    return _page(services, rendering, request, unfinished, request.query_params.get("q", ""))


@post(ONE + "/assignments", opt=OWN | many_fields(5 * MAX_ASSIGNMENTS), sync_to_thread=True)
def keep_assignments(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Keep whom the form names, and go where it is asked."""
    check_form(services, request, form)
    words = form.get("find", "")[:200]
    with services.database.write() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
        if may_assign(request):
            read = read_assigned(unfinished.content.assigned, every_value(form))[: MAX_ASSIGNMENTS + 1]
            content = msgspec.structs.replace(unfinished.content, assigned=read)
            unfinished = kept(services, request, connection, unfinished, content)
        fault = assignment_fault(services, request, connection, unfinished)
    if is_partial(request):
        return _page(services, rendering, request, unfinished, words)
    if fault and is_forward(form, Step.ASSIGNMENTS):
        return onward(unfinished, {}, Step.ASSIGNMENTS, check="1")
    return onward(unfinished, form, Step.ASSIGNMENTS, **({"q": words} if form.get("do") == STAY else {}))


def assignment_fault(services: Services, request: PageRequest, connection: Connection, unfinished: Unfinished) -> str:
    """Say why the policy cannot be assigned so; empty where it can."""
    if not may_assign(request):
        return ""
    acting = acting_at(services, request)
    policy = unfinished.policy_id or PolicyId(unfinished.id)  # one that is not there yet has no assignments to replace
    try:
        check_assignments(connection, acting, policy, unfinished.content.assigned)
    except ShieldwallError as error:
        return f"{error.cause} {error.advice}"
    return ""


def assigned_rows(request: PageRequest, connection: Connection, unfinished: Unfinished) -> list[AssignedRow]:
    """Return whom the policy names, in words."""
    named = [each.group_id for each in unfinished.content.assigned if each.group_id is not None]
    seen = sight_of(request).groups_among(connection, named)
    names = stored_groups.names(connection, seen)
    return [
        AssignedRow(
            assigned=each,
            name=None if each.group_id is None else names.get(each.group_id),
            members=_members(connection, each.group_id, seen),
        )
        for each in unfinished.content.assigned
    ]


def filters_offered(
    services: Services, request: PageRequest, connection: Connection
) -> Mapping[AssignmentFilterId, AssignmentFilter]:
    """Return the filters that somebody may narrow assignments by."""
    if not caller_of(request).access.may(ResourceAction.READ_FILTERS):
        return {}
    page = Page(size=_MOST_FILTERS, where=sight_of(request).filters())
    return {each.id: each for each in stored_filters.list_filters(connection, services.tenant.id, page)}


def _page(
    services: Services, rendering: Renderer, request: PageRequest, unfinished: Unfinished, words: str
) -> Response[str]:
    with services.database.read() as connection:
        rows = assigned_rows(request, connection, unfinished)
        named = {each.group_id for each in unfinished.content.assigned}
        offered = [each for each in _found(services, request, connection, words) if each.id not in named]
        fault = assignment_fault(services, request, connection, unfinished)
        narrowing = filters_offered(services, request, connection)
    return show(
        services,
        rendering,
        request,
        unfinished,
        Step.ASSIGNMENTS,
        rows=[row for row in rows if row.assigned.group_id is not None],
        everybody=next((row.assigned for row in rows if row.assigned.group_id is None), None),
        offered=offered,
        has_more=len(offered) == _FOUND,
        words=words,
        most_counted=MOST_COUNTED,
        filters=narrowing,
        fault=fault,
        may_assign=may_assign(request),
    )


def _found(services: Services, request: PageRequest, connection: Connection, words: str) -> tuple[Group, ...]:
    """Find groups by their names; without words the first few."""
    if not caller_of(request).access.may(ResourceAction.READ_GROUPS):
        return ()
    conditions = (*sight_of(request).groups(), *((stored_groups.named_like(words),) if words.strip() else ()))
    page = Page(size=_FOUND, where=conditions)
    return stored_groups.list_groups(connection, services.tenant.id, page, GroupOrder.NAME)


def _members(connection: Connection, group: GroupId | None, seen: frozenset[GroupId]) -> int | None:
    return (
        group_members.count_members(connection, group, most=MOST_COUNTED + 1)
        if group is not None and group in seen
        else None
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_assignments, keep_assignments)
