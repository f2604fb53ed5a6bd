"""Where the wizard begins: a new policy of some kind, one that is there, or one that was left unfinished."""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.catalog.model import Catalog, PolicyTemplate
from shieldwall.contract.ids import TemplateId, parse_policy_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.manager import unfinished as keeping
from shieldwall.server.manager.revisions import get_policy
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.policies.wizard.steps import ONE, OWN, Step, path_to, taken
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at

PLATFORMS: Final = (("linux", "Linux"), ("windows10", "Windows"), ("macOS", "macOS"))
FAMILIES: Final = (
    ("endpointSecurityAntivirus", marked("Antivirus")),
    ("endpointSecurityFirewall", marked("Firewall")),
    ("endpointSecurityEndpointDetectionAndResponse", marked("Endpoint detection and response")),
    ("endpointSecurityAttackSurfaceReduction", marked("Attack surface reduction")),
)
_CREATE: Final = SIGNED_IN | needs(ResourceAction.CREATE_POLICIES, Reach.LISTED)
_CHANGE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_POLICIES, Reach.OBJECT)


@get("/policies/new", opt=_CREATE, sync_to_thread=True)
def choose_profile(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the kinds of policies, by platform and type."""
    platform = request.query_params.get("platform", "")
    known = {name for name, _ in PLATFORMS}
    with services.database.read() as connection:
        begun = keeping.of_person(connection, services.tenant.id, caller_of(request).id)
    return rendering.page(
        request,
        "policies/wizard/new.html",
        section="/policies",
        platform_tabs=[(f"/policies/new?platform={name}", label) for name, label in PLATFORMS],
        platform=platform if platform in known else PLATFORMS[0][0],
        families=_families(services.catalog, platform if platform in known else PLATFORMS[0][0]),
        unfinished_policies=begun,
        catalog=services.catalog,
    )


@post("/policies/new", opt=_CREATE, sync_to_thread=True)
def begin_policy(services: Services, request: PageRequest, form: Form) -> Redirect:
    """Begin a policy of the kind chosen."""
    check_form(services, request, form)
    template_id = TemplateId(form.get("template", ""))
    with services.database.write() as connection:
        acting = acting_at(services, request)
        begun = keeping.begin(connection, acting, caller_of(request).id, services.catalog, template_id)
    return redirect(path_to(begun, Step.BASICS))


@get("/policies/{policy_id:str}/edit", opt=_CHANGE, sync_to_thread=True)
def choose_part(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show what of a policy can be changed, and whether somebody has begun to."""
    person = caller_of(request).id
    with services.database.read() as connection:
        policy = get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        begun = [
            each for each in keeping.of_person(connection, services.tenant.id, person) if each.policy_id == policy.id
        ]
    return rendering.page(
        request,
        "policies/wizard/edit.html",
        section="/policies",
        policy=policy,
        profile=services.catalog.template(policy.template_id),
        begun=begun[0] if begun else None,
        parts_of_it=tuple(step for step in Step if step is not Step.REVIEW),
    )


@post("/policies/{policy_id:str}/edit", opt=_CHANGE, sync_to_thread=True)
def begin_change(services: Services, request: PageRequest, policy_id: FromPath[str], form: Form) -> Redirect:
    """Begin to change a policy at the part chosen, or go on."""
    check_form(services, request, form)
    wanted = next((step for step in Step if step == form.get("step")), Step.SETTINGS)
    with services.database.write() as connection:
        acting = acting_at(services, request)
        begun = keeping.begin_change(connection, acting, caller_of(request).id, parse_policy_id(policy_id))
    return redirect(path_to(begun, wanted))


@post(ONE + "/discard", opt=OWN, sync_to_thread=True)
def discard_unfinished(services: Services, request: PageRequest, unfinished_id: FromPath[str], form: Form) -> Redirect:
    """Throw away what was entered."""
    check_form(services, request, form)
    with services.database.write() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
        keeping.discard(connection, unfinished)
    return redirect("/policies" if unfinished.policy_id is None else f"/policies/{unfinished.policy_id}")


def _families(catalog: Catalog, platform: str) -> list[tuple[str, list[PolicyTemplate]]]:
    offered = [each for each in catalog.templates.values() if each.platforms == platform]
    chapters = [(label, [each for each in offered if each.family == family]) for family, label in FAMILIES]
    return [(label, each) for label, each in chapters if each]


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    choose_profile,
    begin_policy,
    choose_part,
    begin_change,
    discard_unfinished,
)
