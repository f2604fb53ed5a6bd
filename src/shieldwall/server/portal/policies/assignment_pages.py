"""Whom a policy is assigned to: shown, put together, previewed, saved. Nothing is kept until it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidIdError, ShieldwallError
from shieldwall.contract.ids import GroupId, parse_group_id, parse_policy_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of, sight_of
from shieldwall.server.manager import policies
from shieldwall.server.manager.assignments import MAX_ASSIGNMENTS, Assigned, assign, assignment
from shieldwall.server.manager.change_plans import Update
from shieldwall.server.manager.seen_states import seen_state
from shieldwall.server.portal.forms import every_value, many_fields
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.meanwhile import SEEN, ChangedMeanwhileError
from shieldwall.server.portal.policies.acting import Act, act_page, crumbs_of, do, previewed
from shieldwall.server.portal.policies.long_previews import begin, takes_long
from shieldwall.server.portal.policies.shown import path_of, shown_policy
from shieldwall.server.portal.policies.targets import TargetRow, rows_of
from shieldwall.server.portal.policies.wizard.assigned_form import ADD, ALL, EVERYBODY, GROUP, read_assigned
from shieldwall.server.portal.policies.words import FILTER_KINDS
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.groups.groups import GroupOrder
from shieldwall.server.storage.policies import assignments as stored
from shieldwall.server.storage.policies import filters
from shieldwall.server.storage.records import AssignmentFilter, AssignmentKind, FilterKind, Group, Page, Policy

_READS: Final = SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OBJECT)
_ASSIGNS: Final = SIGNED_IN | needs(ResourceAction.ASSIGN_POLICIES, Reach.OBJECT) | many_fields(5 * MAX_ASSIGNMENTS)
_FOUND: Final = 20
MOST_COUNTED: Final = 10_000
"""Members of a group are counted so far, which takes the same time in a fleet of any size."""
_MOST_FILTERS: Final = 500


@get("/policies/{policy_id:str}/assignments", opt=_READS, sync_to_thread=True)
def show_assignments(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show whom a policy is assigned to; whoever may change that finds the form here."""
    return _page(services, rendering, request, policy_id, words=request.query_params.get("find", "")[:200])


@post("/policies/{policy_id:str}/assignments/edit", opt=_ASSIGNS, sync_to_thread=True, status_code=200)
def edit_assignments(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, policy_id: FromPath[str]
) -> Response[str]:
    """Show the form with what was chosen so far, and the groups that were looked for."""
    check_form(services, request, form)
    pending = pending_of(every_value(form))
    return _page(services, rendering, request, policy_id, pending=pending, words=form.get("find", "")[:200], form=form)


@post("/policies/{policy_id:str}/assignments/preview", opt=_ASSIGNS, sync_to_thread=True, status_code=200)
def preview_assignments(  # noqa: PLR0917 - what the framework hands it
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    works: Working,
    form: Form,
    policy_id: FromPath[str],
) -> Response[str] | Redirect:
    """Show what it would do to assign a policy so; in a large fleet, begin to work it out."""
    check_form(services, request, form)
    pending = pending_of(every_value(form))
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        rows = rows_of(connection, request, tuple(assignment(policy.id, each) for each in pending))
        seen = seen_state(connection, policy)
    if form.get(SEEN) != seen or not takes_long(services):
        return _preview_page(services, rendering, request, form, policy_id)
    act = _act(policy, seen, pending, rows)
    return begin(services, request, works, act, Update(policy=policy.id, assigned=pending))


@post("/policies/{policy_id:str}/assignments", opt=_ASSIGNS, sync_to_thread=True, status_code=303)
def save_assignments(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, policy_id: FromPath[str]
) -> Response[str] | Redirect:
    """Assign a policy as it was previewed."""
    check_form(services, request, form)
    pending, reason = pending_of(every_value(form)), form.get("reason", "").strip()
    try:
        do(
            services,
            request,
            form,
            policy_id,
            lambda _, connection, acting, policy: assign(connection, acting, policy.id, pending, reason=reason),
        )
    except ShieldwallError as problem:
        return _preview_page(services, rendering, request, form, policy_id, problem=problem)
    return redirect(path_of(parse_policy_id(policy_id), "assignments"))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    show_assignments,
    edit_assignments,
    preview_assignments,
    save_assignments,
)


def pending_of(sent: Mapping[str, Sequence[str]]) -> tuple[Assigned, ...]:
    """Read whom a form names: every group that stands in it, those that are added, and all devices."""
    stood = [Assigned(kind=AssignmentKind.INCLUDE, group_id=group) for group in _groups(sent.get(GROUP, ()))]
    return read_assigned(stood, {name: values for name, values in sent.items() if name != "shown"})


def fields_of(pending: Sequence[Assigned]) -> list[tuple[str, str]]:
    """Write assignments as the fields that ``pending_of`` reads."""
    fields: list[tuple[str, str]] = []
    for each in pending:
        key = each.group_id or ALL
        if each.group_id is None:
            fields.append((EVERYBODY, "on"))
        else:
            fields += [(GROUP, each.group_id), (f"kind:{key}", each.kind.value)]
        if each.filter_id is not None:
            fields += [(f"filter:{key}", each.filter_id), (f"mode:{key}", each.filter_kind.value)]
    return fields


def _groups(texts: Sequence[str]) -> list[GroupId]:
    found: dict[GroupId, None] = {}
    for text in texts:
        try:
            found[parse_group_id(text)] = None
        except InvalidIdError:
            continue
    return list(found)


def _page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    policy_id: str,
    *,
    pending: tuple[Assigned, ...] | None = None,
    words: str = "",
    form: Form | None = None,
) -> Response[str]:
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        present = stored.of_policy(connection, policy.id)
        wanted = present if pending is None else tuple(assignment(policy.id, each) for each in pending)
        rows = rows_of(connection, request, wanted)
        members = {
            row.group_id: group_members.count_members(connection, row.group_id, most=MOST_COUNTED + 1)
            for row in rows[:_FOUND]
            if row.group is not None and row.group_id is not None
        }
        named = {row.group_id for row in rows}
        offered = [each for each in _found(services, request, connection, words) if each.id not in named]
        seen = form.get(SEEN, "") if form is not None else seen_state(connection, policy)
        narrowing = _filters(services, request, connection)
    shown = shown_policy(services, request, policy)
    if pending is not None:
        shown["live"] = ()
    return rendering.page(
        request,
        "policies/assignments.html",
        here="assignments",
        rows=[row for row in rows if row.group_id is not None],
        everybody=next((row for row in rows if row.group_id is None), None),
        members=members,
        most_counted=MOST_COUNTED,
        is_changed=pending is not None and set(wanted) != set(present),
        offered=offered,
        has_more=len(offered) >= _FOUND,
        words=words,
        filters=narrowing,
        filter_kinds=[(kind, FILTER_KINDS[kind]) for kind in (FilterKind.INCLUDE, FilterKind.EXCLUDE)],
        names={"all": ALL, "add": ADD, "group": GROUP, "everybody": EVERYBODY},
        seen=seen,
        **shown,
    )


def _preview_page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    form: Form,
    policy_id: str,
    *,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    pending, effect, is_long = pending_of(every_value(form)), None, takes_long(services)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        seen = seen_state(connection, policy)
        if problem is None and form.get(SEEN) != seen:  # what the form was made of is not what would be replaced
            problem = ChangedMeanwhileError(f"The policy {policy.name} changed meanwhile.")
        try:
            if not is_long:
                effect = previewed(services, connection, request, Update(policy=policy.id, assigned=pending))
        except ShieldwallError as wrong:
            problem = problem or wrong
        rows = rows_of(connection, request, tuple(assignment(policy.id, each) for each in pending))
    return act_page(
        rendering,
        request,
        _act(policy, seen, pending, rows),
        effect=effect,
        problem=problem,
        reason=form.get("reason", ""),
    )


def _act(policy: Policy, seen: str, pending: Sequence[Assigned], rows: list[TargetRow]) -> Act:
    more: dict[str, Any] = {
        "rows": rows,
        "pending": fields_of(pending),
        "edit_action": path_of(policy.id, "assignments/edit"),
    }
    return Act(
        title=marked("Assign %(name)s"),
        lead=marked("Whom the policy would reach, and what that would do."),
        button=marked("Save the assignments"),
        action=path_of(policy.id, "assignments"),
        back=path_of(policy.id, "assignments"),
        crumbs=crumbs_of(policy),
        values={"name": policy.name},
        fields={"seen": seen},
        template="policies/assign.html",
        more=more,
    )


def _found(services: AdminServices, request: PageRequest, connection: Connection, words: str) -> tuple[Group, ...]:
    """Find groups by their names; without words the first few."""
    access = caller_of(request).access
    if not (access.may(ResourceAction.READ_GROUPS) and access.may(ResourceAction.ASSIGN_POLICIES)):
        return ()
    where = (*sight_of(request).groups(), *((groups.named_like(words),) if words.strip() else ()))
    return groups.list_groups(connection, services.tenant.id, Page(size=_FOUND, where=where), GroupOrder.NAME)


def _filters(services: AdminServices, request: PageRequest, connection: Connection) -> tuple[AssignmentFilter, ...]:
    if not caller_of(request).access.may(ResourceAction.READ_FILTERS):
        return ()
    page = Page(size=_MOST_FILTERS, where=sight_of(request).filters())
    return filters.list_filters(connection, services.tenant.id, page)
