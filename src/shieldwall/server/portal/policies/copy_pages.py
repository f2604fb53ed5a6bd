"""A policy copied: the same settings under another name, assigned to nobody."""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import authoring, signed_between
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.manager.drafts import MAX_NAME_LENGTH
from shieldwall.server.portal.forms import description_of
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.policies.acting import Act, act_page, crumbs_of
from shieldwall.server.portal.policies.shown import path_of, read_policy
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.records import Policy

_COPIES: Final = SIGNED_IN | needs(ResourceAction.CREATE_POLICIES, Reach.OBJECT)


@get("/policies/{policy_id:str}/duplicate", opt=_COPIES, sync_to_thread=True)
def ask_duplicate(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Ask how the copy is to be called."""
    policy = read_policy(services, policy_id)
    name = f"{policy.name[: MAX_NAME_LENGTH - 7]} (copy)"
    return act_page(rendering, request, _duplicate(policy, name, policy.description))


@post("/policies/{policy_id:str}/duplicate", opt=_COPIES, sync_to_thread=True, status_code=303)
def duplicate_policy(
    services: Services, rendering: Renderer, request: PageRequest, form: Form, policy_id: FromPath[str]
) -> Response[str] | Redirect:
    """Make a policy with the same settings that is assigned to nobody."""
    check_form(services, request, form)
    policy, name, description = (
        read_policy(services, policy_id),
        form.get("name", "").strip(),
        description_of(form),
    )
    reason = form.get("reason", "").strip()
    try:
        made = _copied(services, request, policy, name, description, reason=reason)
    except ShieldwallError as problem:
        return act_page(rendering, request, _duplicate(policy, name, description), problem=problem, reason=reason)
    return redirect(path_of(made.id))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (ask_duplicate, duplicate_policy)


@signed_between
def _copied(
    services: AdminServices, request: PageRequest, policy: Policy, name: str, description: str, *, reason: str
) -> Policy:
    acting = acting_for(services, request)
    with services.database.write() as connection:
        return authoring(services).create_copy(connection, acting, policy.id, name, description, reason=reason)


def _duplicate(policy: Policy, name: str, description: str) -> Act:
    return Act(
        title=marked("Duplicate %(name)s"),
        lead=marked("The copy has the same settings and scope tags. It is assigned to nobody and has no priority."),
        button=marked("Make the copy"),
        action=path_of(policy.id, "duplicate"),
        back=path_of(policy.id),
        crumbs=crumbs_of(policy),
        values={"name": policy.name},
        previews=False,
        template="policies/duplicate.html",
        more={"copy_name": name, "copy_description": description},
    )
