"""What is done to a policy as a whole: delete it, give it a priority."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.conflicts import ConflictRule
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import parse_policy_id
from shieldwall.contract.settings import LOWEST_PRIORITY
from shieldwall.policy.families import conflict_family
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.authoring import authoring
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.manager import conflict_rules, policies
from shieldwall.server.manager.change_plans import Delete, Update
from shieldwall.server.manager.drafts import PolicyDraft
from shieldwall.server.manager.seen_states import seen_state
from shieldwall.server.portal.forms import InvalidFormError, whole
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.policies.acting import Act, act_page, crumbs_of, do, previewed
from shieldwall.server.portal.policies.long_previews import begin, takes_long
from shieldwall.server.portal.policies.shown import path_of, read_policy
from shieldwall.server.portal.policies.words import CONFLICT_FAMILIES
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.policies import policy_listings
from shieldwall.server.storage.policies.policy_listings import PoliciesWanted, PolicyOrder
from shieldwall.server.storage.records import Page, Policy

_DELETES: Final = SIGNED_IN | needs(ResourceAction.DELETE_POLICIES, Reach.OBJECT)
_ORDERS: Final = SIGNED_IN | needs(ResourceAction.UPDATE_POLICIES)
_MOST_OTHERS: Final = 100


@get("/policies/{policy_id:str}/delete", opt=_DELETES, sync_to_thread=True)
def ask_delete(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show what would not be set any more."""
    return _delete_page(services, rendering, request, policy_id)


@post("/policies/{policy_id:str}/delete/preview", opt=_DELETES, sync_to_thread=True, status_code=303)
def work_out_delete(
    services: Services, request: PageRequest, works: Working, form: Form, policy_id: FromPath[str]
) -> Redirect:
    """Begin to work out what would not be set any more in a large fleet."""
    check_form(services, request, form)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        act = _delete(connection, policy)
    return begin(services, request, works, act, Delete(policy_id=policy.id))


@post("/policies/{policy_id:str}/delete", opt=_DELETES, sync_to_thread=True, status_code=303)
def delete_policy(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, policy_id: FromPath[str]
) -> Response[str] | Redirect:
    """Delete a policy; its devices return to what their other policies say."""
    check_form(services, request, form)
    reason = form.get("reason", "").strip()
    try:
        do(
            services,
            request,
            form,
            policy_id,
            lambda parts, connection, acting, policy: authoring(parts).delete(
                connection, acting, policy.id, reason=reason
            ),
        )
    except ShieldwallError as problem:
        return _delete_page(services, rendering, request, policy_id, problem=problem, reason=reason)
    return redirect("/policies")


@get("/policies/{policy_id:str}/priority", opt=_ORDERS, sync_to_thread=True)
def ask_priority(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show the priorities of policies like this one, and ask for another."""
    policy = read_policy(services, policy_id)
    with services.database.read() as connection:
        act = _priority(services, connection, request, policy, str(policy.priority or ""))
    return act_page(rendering, request, act)


@post("/policies/{policy_id:str}/priority/preview", opt=_ORDERS, sync_to_thread=True, status_code=200)
def preview_priority(  # noqa: PLR0917 - what the framework hands it
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    works: Working,
    form: Form,
    policy_id: FromPath[str],
) -> Response[str] | Redirect:
    """Show what another priority would do; in a large fleet, begin to work it out."""
    check_form(services, request, form)
    if not takes_long(services):
        return _priority_page(services, rendering, request, form, policy_id)
    priority = _read(form)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        act = _priority(services, connection, request, policy, str(priority))
    change = Update(policy=policy.id, draft=lambda draft: _with_priority(draft, priority))
    return begin(services, request, works, act, change)


@post("/policies/{policy_id:str}/priority", opt=_ORDERS, sync_to_thread=True, status_code=303)
def save_priority(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, policy_id: FromPath[str]
) -> Response[str] | Redirect:
    """Give a policy the priority that was previewed."""
    check_form(services, request, form)
    reason = form.get("reason", "").strip()
    try:
        priority = _read(form)
        do(
            services,
            request,
            form,
            policy_id,
            lambda parts, connection, acting, policy: authoring(parts).reorder(
                connection, acting, policy.id, priority, reason=reason
            ),
        )
    except ShieldwallError as problem:
        return _priority_page(services, rendering, request, form, policy_id, problem=problem)
    return redirect(path_of(parse_policy_id(policy_id)))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    ask_delete,
    work_out_delete,
    delete_policy,
    ask_priority,
    preview_priority,
    save_priority,
)


def _delete_page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    policy_id: str,
    *,
    problem: ShieldwallError | None = None,
    reason: str = "",
) -> Response[str]:
    is_long = takes_long(services)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        effect = None if is_long else previewed(services, connection, request, Delete(policy_id=policy.id))
        act = _delete(connection, policy, works_out=path_of(policy.id, "delete/preview") if is_long else "")
    return act_page(rendering, request, act, effect=effect, problem=problem, reason=reason)


def _delete(connection: Connection, policy: Policy, *, works_out: str = "") -> Act:
    return Act(
        title=marked("Delete %(name)s"),
        lead=marked(
            "What it sets is not set any more, unless another policy says so: devices go back to their settings from "
            "before management. Its revisions stay in the history."
        ),
        button=marked("Delete this policy"),
        action=path_of(policy.id, "delete"),
        back=path_of(policy.id),
        crumbs=crumbs_of(policy),
        values={"name": policy.name},
        fields={"seen": seen_state(connection, policy)},
        works_out=works_out,
        is_dangerous=True,
    )


def _priority_page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    form: Form,
    policy_id: str,
    *,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    effect, is_long = None, takes_long(services)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        try:
            priority = _read(form)
            change = Update(policy=policy.id, draft=lambda draft: _with_priority(draft, priority))
            effect = None if is_long else previewed(services, connection, request, change)
        except ShieldwallError as wrong:
            problem = problem or wrong
        act = _priority(services, connection, request, policy, form.get("priority", ""))
    return act_page(rendering, request, act, effect=effect, problem=problem, reason=form.get("reason", ""))


def _priority(
    services: AdminServices, connection: Connection, request: PageRequest, policy: Policy, wanted: str
) -> Act:
    catalog = services.catalog
    template = catalog.templates.get(policy.template_id)
    family = template.family if template else ""
    alike = [each.id for each in catalog.templates.values() if each.family == family]
    where = (
        *sight_of(request).policies(),
        *policy_listings.conditions(PoliciesWanted(templates=alike, platform=policy.platforms)),
    )
    page = Page(size=_MOST_OTHERS, where=where)
    others = policy_listings.list_page(connection, services.tenant.id, page, PolicyOrder.PRIORITY)
    rules = conflict_rules.get_rules(connection, services.tenant.id)
    families = {
        conflict_family(catalog, each.definition) for each in policy.settings if each.definition in catalog.definitions
    }
    deciding = [each for each in families if rules.get(each) is ConflictRule.PRIORITY]
    return Act(
        title=marked("Priority of %(name)s"),
        lead=marked("1 is the best, %(lowest)s the worst. A policy without a priority comes after all that have one."),
        button=marked("Save the priority"),
        action=path_of(policy.id, "priority"),
        back=path_of(policy.id),
        crumbs=crumbs_of(policy),
        values={"name": policy.name, "lowest": LOWEST_PRIORITY},
        fields={"seen": seen_state(connection, policy), "priority": wanted},
        template="policies/priority.html",
        more={
            "policy": policy,
            "wanted": wanted,
            "lowest": LOWEST_PRIORITY,
            "others": sorted(others, key=lambda each: (each.priority or LOWEST_PRIORITY + 1, each.name)),
            "deciding": [CONFLICT_FAMILIES[each][0] for each in sorted(deciding)],
            "preview_action": path_of(policy.id, "priority/preview"),
        },
    )


def _with_priority(draft: PolicyDraft, priority: int) -> PolicyDraft:
    return replace(draft, priority=priority)


def _read(form: Form) -> int:
    """Read a priority. Raises: InvalidFormError."""
    priority = whole(form, "priority", "Priority")
    if not 1 <= priority <= LOWEST_PRIORITY:
        raise InvalidFormError(f"Priority: a number from 1 to {LOWEST_PRIORITY} stands here.")
    return priority
