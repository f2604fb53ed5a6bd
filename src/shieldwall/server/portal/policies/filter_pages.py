"""Assignment filters: which there are and what uses them, made, changed after a preview, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, parse_assignment_filter_id
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.policy.membership import InvalidRuleError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.access.tagging import tags_held
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of, sight_of
from shieldwall.server.directory import scope_tags
from shieldwall.server.manager import filters
from shieldwall.server.manager.filter_matches import matching_devices
from shieldwall.server.manager.filters import FilterDraft, draft_of_filter
from shieldwall.server.manager.preview import Proposal
from shieldwall.server.portal.forms import description_of, every_value, many_fields
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.meanwhile import ChangedMeanwhileError, status_with
from shieldwall.server.portal.policies.links import asked_by, following, page_after
from shieldwall.server.portal.policies.preview_views import ShownEffect, shown_effect
from shieldwall.server.portal.policies.words import FILTER_KINDS, FILTER_PLATFORMS
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.policies import assignments, policies
from shieldwall.server.storage.records import AssignmentFilter

_READS: Final = SIGNED_IN | needs(ResourceAction.READ_FILTERS, Reach.OBJECT)
_CREATES: Final = SIGNED_IN | needs(ResourceAction.CREATE_FILTERS, Reach.NAMED) | many_fields(100)
_WRITES: Final = SIGNED_IN | needs(ResourceAction.UPDATE_FILTERS, Reach.OBJECT) | many_fields(100)
_DELETES: Final = SIGNED_IN | needs(ResourceAction.DELETE_FILTERS, Reach.OBJECT)
_SAMPLES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """How many devices a rule names, and a few of them."""

    count: int
    samples: tuple[tuple[DeviceId, str], ...]


@get("/filters", opt=SIGNED_IN | needs(ResourceAction.READ_FILTERS, Reach.LISTED), sync_to_thread=True)
def list_filters(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """List the assignment filters, each with how many assignments it narrows."""
    asked = asked_by(request)
    page = replace(page_after(asked), where=sight_of(request).filters())
    with services.database.read() as connection:
        found = filters.list_filters(connection, services.tenant.id, page)
        uses = {each.id: len(assignments.of_filter(connection, each.id)) for each in found}
    return rendering.page(
        request,
        "policies/filters.html",
        section="/policies",
        filters=found,
        uses=uses,
        platforms=FILTER_PLATFORMS,
        **following(asked, [each.id for each in found]),
    )


@get("/filters/new", opt=_CREATES, sync_to_thread=True)
def new_filter(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the form of a new filter."""
    return _page(services, rendering, request, None, {"platform": "windows10AndLater"})


@post("/filters/new/preview", opt=_CREATES, sync_to_thread=True, status_code=200)
def try_filter(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Show which devices a new filter would match."""
    check_form(services, request, form)
    return _page(services, rendering, request, None, form, tried=True)


@post("/filters/new", opt=_CREATES, sync_to_thread=True, status_code=303)
def create_filter(
    services: Services, rendering: Renderer, request: PageRequest, form: Form
) -> Response[str] | Redirect:
    """Make a filter; it narrows nothing until an assignment names it."""
    check_form(services, request, form)
    try:
        draft = _draft(request, form, None)
        with services.database.write() as connection:
            made = filters.create_filter(connection, acting_for(services, request), draft)
    except ShieldwallError as problem:
        return _page(services, rendering, request, None, form, problem=problem)
    return redirect(f"/filters/{made.id}")


@get("/filters/{filter_id:str}", opt=_READS, sync_to_thread=True)
def show_filter(
    services: Services, rendering: Renderer, request: PageRequest, filter_id: FromPath[str]
) -> Response[str]:
    """Show a filter: its rule, the devices that match, what it is used by; and the form that changes it."""
    with services.database.read() as connection:
        kept = filters.get_filter(connection, services.tenant.id, parse_assignment_filter_id(filter_id))
    return _page(services, rendering, request, kept, _fields(kept), tried=True, previews=False)


@post("/filters/{filter_id:str}/preview", opt=_WRITES, sync_to_thread=True, status_code=200)
def preview_filter(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, filter_id: FromPath[str]
) -> Response[str]:
    """Show what another rule would do to the devices of every policy that the filter narrows."""
    check_form(services, request, form)
    with services.database.read() as connection:
        kept = filters.get_filter(connection, services.tenant.id, parse_assignment_filter_id(filter_id))
    return _page(services, rendering, request, kept, form, tried=True)


@post("/filters/{filter_id:str}", opt=_WRITES, sync_to_thread=True, status_code=303)
def save_filter(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, filter_id: FromPath[str]
) -> Response[str] | Redirect:
    """Change a filter as it was previewed."""
    check_form(services, request, form)
    wanted, acting = parse_assignment_filter_id(filter_id), acting_for(services, request)
    with services.database.read() as connection:
        kept = filters.get_filter(connection, services.tenant.id, wanted)
    try:
        with services.database.write() as connection:
            targets.lock(connection)
            present = filters.get_filter(connection, services.tenant.id, wanted)
            if form.get("seen") != _state(present):
                raise ChangedMeanwhileError(f"The filter {present.display_name} changed meanwhile.")
            filters.update_filter(connection, acting, wanted, _draft(request, form, present))
    except ShieldwallError as problem:
        return _page(services, rendering, request, kept, form, problem=problem, tried=True)
    return redirect(f"/filters/{filter_id}")


@get("/filters/{filter_id:str}/delete", opt=_DELETES, sync_to_thread=True)
def ask_delete_filter(
    services: Services, rendering: Renderer, request: PageRequest, filter_id: FromPath[str]
) -> Response[str]:
    """Ask before a filter is deleted, or say what still uses it."""
    with services.database.read() as connection:
        kept = filters.get_filter(connection, services.tenant.id, parse_assignment_filter_id(filter_id))
        uses = _uses(connection, request, kept)
    return rendering.page(request, "policies/filter_delete.html", section="/policies", kept=kept, uses=uses)


@post("/filters/{filter_id:str}/delete", opt=_DELETES, sync_to_thread=True, status_code=303)
def delete_filter(services: Services, request: PageRequest, form: Form, filter_id: FromPath[str]) -> Redirect:
    """Delete a filter that narrows nothing."""
    check_form(services, request, form)
    with services.database.write() as connection:
        filters.delete_filter(connection, acting_for(services, request), parse_assignment_filter_id(filter_id))
    return redirect("/filters")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_filters,
    new_filter,
    try_filter,
    create_filter,
    show_filter,
    preview_filter,
    save_filter,
    ask_delete_filter,
    delete_filter,
)


def _page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    kept: AssignmentFilter | None,
    form: Mapping[str, str],
    *,
    tried: bool = False,
    previews: bool = True,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    matched: Matched | None = None
    effect: ShownEffect | None = None
    rule = _on_one_line(form.get("rule", ""))
    with services.database.read() as connection:
        try:
            if tried:
                draft = _draft(request, form, kept)
                matched = _matched(services, connection, request, draft)
                if kept is not None and previews:
                    effect = shown_effect(services, connection, request, Proposal(filter_rules={kept.id: draft.rule}))
        except ShieldwallError as wrong:
            problem = problem or wrong
        held = _held(request, kept)
        tags = [each for each in scope_tags.all_tags(connection, services.tenant.id) if held is None or each.id in held]
        uses = [] if kept is None else _uses(connection, request, kept)
    is_stale = isinstance(problem, ChangedMeanwhileError)
    place = problem.position if isinstance(problem, InvalidRuleError) else None
    return rendering.page(
        request,
        "policies/filter.html",
        status=status_with(problem),
        section="/policies",
        kept=kept,
        form={name: form.get(name, "") for name in ("display_name", "description", "platform")} | {"rule": rule},
        chosen_tags=every_value(form).get("tag", ()) if previews else (kept.role_scope_tag_ids if kept else ()),
        tags=tags,
        platforms=FILTER_PLATFORMS,
        matched=matched,
        effect=effect,
        uses=uses,
        seen="" if kept is None else _state(kept),
        problem=None if is_stale else problem,
        is_stale=is_stale,
        fault=None if place is None else (rule[:place], rule[place : place + 1] or "▯", rule[place + 1 :]),
    )


def _held(request: PageRequest, kept: AssignmentFilter | None) -> frozenset[str] | None:
    action = ResourceAction.CREATE_FILTERS if kept is None else ResourceAction.UPDATE_FILTERS
    return tags_held(caller_of(request).access, action)


def _draft(request: PageRequest, form: Mapping[str, str], kept: AssignmentFilter | None) -> FilterDraft:
    """Read a filter; what stays of one that is there is its platform, and tags that its author was not offered.

    Raises:
        InvalidFilterError, InvalidRuleError
    """
    before = None if kept is None else draft_of_filter(kept)
    held, ticked = _held(request, kept), every_value(form).get("tag", ())
    stay = () if before is None or held is None else set(before.role_scope_tag_ids) - held
    tags = tuple(dict.fromkeys((*ticked, *sorted(stay)))) if ticked else ()
    return FilterDraft(
        display_name=form.get("display_name", "").strip(),
        description=description_of(form),
        platform=form.get("platform", "") if before is None else before.platform,
        rule=_on_one_line(form.get("rule", "")),
        role_scope_tag_ids=tags or (before.role_scope_tag_ids if before else ()),
    )


def _matched(services: AdminServices, connection: Connection, request: PageRequest, draft: FilterDraft) -> Matched:
    ids = matching_devices(connection, services.tenant.id, draft.platform, draft.rule)
    sight = sight_of(request)
    if sight.devices():
        seen = sight.devices_among(connection, ids)
        ids = tuple(each for each in ids if each in seen)
    return Matched(count=len(ids), samples=tuple(fleets.names(connection, ids[:_SAMPLES]).items()))


def _uses(connection: Connection, request: PageRequest, kept: AssignmentFilter) -> list[dict[str, Any]]:
    """Say which assignments a filter narrows; what the caller does not see has no name."""
    found, sight = assignments.of_filter(connection, kept.id), sight_of(request)
    seen_policies = sight.policies_among(connection, {each.policy_id for each in found})
    seen_groups = sight.groups_among(connection, {each.group_id for each in found if each.group_id is not None})
    names = groups.names(connection, seen_groups)
    return [
        {
            "policy_id": each.policy_id if each.policy_id in seen_policies else None,
            "policy": policies.get(connection, each.policy_id).name if each.policy_id in seen_policies else "",
            "group_id": each.group_id,
            "group": "" if each.group_id is None else names.get(each.group_id, ""),
            "words": FILTER_KINDS[each.filter_kind],
        }
        for each in found
    ]


def _fields(kept: AssignmentFilter) -> dict[str, str]:
    return {
        "display_name": kept.display_name,
        "description": kept.description,
        "platform": kept.platform,
        "rule": kept.rule,
    }


def _on_one_line(rule: str) -> str:
    return " ".join(rule.split("\r\n")).replace("\n", " ").replace("\t", " ").strip()


def _state(kept: AssignmentFilter) -> str:
    return digest_of_bytes(f"{kept.rule} {kept.modified_at.isoformat()}".encode())
