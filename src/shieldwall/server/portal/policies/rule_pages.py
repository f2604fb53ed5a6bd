"""The conflict rules of the tenant: how policies are brought together that want different values, family by family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar import Response, get, post
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.manager import conflict_rules
from shieldwall.server.manager.preview import Proposal
from shieldwall.server.portal.forms import InvalidFormError
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.meanwhile import ChangedMeanwhileError
from shieldwall.server.portal.policies.preview_views import ShownEffect, shown_effect
from shieldwall.server.portal.policies.words import CONFLICT_FAMILIES, CONFLICT_RULES
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.check_ins import targets

_WRITES: Final = SIGNED_IN | needs(ResourceAction.UPDATE_POLICIES)
_PUBLISHED: Final = "published"


@get("/policies/conflict-rules", opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OPEN), sync_to_thread=True)
def show_rules(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the rule of every family; the address may choose others, which are not saved by that."""
    with services.database.read() as connection:
        present = conflict_rules.get_rules(connection, services.tenant.id)
    chosen = {family.value: present.get(family, _PUBLISHED) for family in ConflictFamily}
    chosen |= {name: rule for name, rule in request.query_params.items() if name in chosen and _is_rule(rule)}
    return _page(rendering, request, present, _read(chosen))


@post("/policies/conflict-rules/preview", opt=_WRITES, sync_to_thread=True, status_code=200)
def preview_rules(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Show what the rules of the form would do."""
    check_form(services, request, form)
    return _preview_page(services, rendering, request, form)


@post("/policies/conflict-rules", opt=_WRITES, sync_to_thread=True, status_code=303)
def save_rules(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Make the rules hold that were previewed; every device follows them."""
    check_form(services, request, form)
    rules, acting = _read(form), acting_for(services, request)
    with services.database.write() as connection:
        targets.lock(connection)
        present = conflict_rules.get_rules(connection, services.tenant.id)
        is_same = form.get("seen") == _state(present)
        if is_same:
            conflict_rules.replace_rules(connection, acting, rules)
    if is_same:
        return redirect("/policies/conflict-rules")
    stale = ChangedMeanwhileError("The conflict rules changed meanwhile.")
    return _preview_page(services, rendering, request, form, problem=stale)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_rules, preview_rules, save_rules)


def _preview_page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    form: Form,
    *,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    rules = _read(form)
    with services.database.read() as connection:
        present = conflict_rules.get_rules(connection, services.tenant.id)
        effect = shown_effect(services, connection, request, Proposal(conflict_rules=rules))
    return _page(rendering, request, present, rules, effect=effect, problem=problem)


def _page(
    rendering: Renderer,
    request: PageRequest,
    present: ConflictRules,
    chosen: ConflictRules,
    *,
    effect: ShownEffect | None = None,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    return rendering.page(
        request,
        "policies/conflict_rules.html",
        status=200 if problem is None else 409,
        section="/policies",
        families=[
            (family.value, *words, present.get(family, _PUBLISHED), chosen.get(family, _PUBLISHED))
            for family, words in CONFLICT_FAMILIES.items()
        ],
        rules=CONFLICT_RULES,
        is_changed=dict(present) != dict(chosen),
        seen=_state(present),
        effect=effect,
        problem=problem,
    )


def _is_rule(text: str) -> bool:
    return text == _PUBLISHED or text in list(ConflictRule)


def _read(form: Mapping[str, str]) -> ConflictRules:
    """Read a rule for each family. Raises: InvalidFormError."""
    rules: dict[ConflictFamily, ConflictRule] = {}
    for family in ConflictFamily:
        text = form.get(family.value, _PUBLISHED)
        if not _is_rule(text):
            raise InvalidFormError(f"{CONFLICT_FAMILIES[family][0]}: one of the rules offered stands here.")
        if text != _PUBLISHED:
            rules[family] = ConflictRule(text)
    return rules


def _state(rules: ConflictRules) -> str:
    return digest_of_bytes(repr(sorted((str(family), str(rule)) for family, rule in rules.items())).encode())
