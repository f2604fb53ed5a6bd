"""The page of the clean-up rules: what they are, what others would clean up now, and only then saving them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import convert, digest_of
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.inventory import cleaning
from shieldwall.server.inventory.cleaning import (
    LONGEST_SILENCE,
    PROFILE_DAYS,
    SHORTEST_SILENCE,
    CleanUp,
    CleanUpRules,
)
from shieldwall.server.portal.forms import whole
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.reports import first_steps

_PATH: Final = "/clean-up"
_LIMITS: Final = {"shortest": SHORTEST_SILENCE, "longest": LONGEST_SILENCE, "profile": PROFILE_DAYS}


@get(_PATH, opt=SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.OPEN), sync_to_thread=True)
def show_rules(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the rules, and what they would clean up now."""
    with services.database.read() as connection:
        rules = cleaning.get_rules(connection, services.tenant.id)
        effect = None
        if first_steps.is_small(connection, services.tenant.id):  # a preview counts what is in a large fleet
            effect = cleaning.preview(connection, services.tenant.id, rules, services.clock.now())
    return _page(rendering, request, rules, rules, effect=effect)


@post(_PATH + "/preview", opt=SIGNED_IN | needs(ResourceAction.DELETE_DEVICES), sync_to_thread=True, status_code=200)
def preview_rules(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Say what the rules in the form would clean up now."""
    check_form(services, request, form)
    with services.database.read() as connection:
        present = cleaning.get_rules(connection, services.tenant.id)
        try:
            wanted = _rules_of(form)
        except ShieldwallError as problem:
            return _page(rendering, request, present, present, problem=problem)
        effect = cleaning.preview(connection, services.tenant.id, wanted, services.clock.now())
    return _page(rendering, request, present, wanted, effect=effect, is_preview=True)


@post(_PATH, opt=SIGNED_IN | needs(ResourceAction.DELETE_DEVICES), sync_to_thread=True)
def save_rules(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Follow the rules of the form, if they would do to devices what their preview said."""
    check_form(services, request, form)
    wanted = _rules_of(form)
    with services.database.write() as connection:
        present = cleaning.get_rules(connection, services.tenant.id)
        effect = cleaning.preview(connection, services.tenant.id, wanted, services.clock.now())
        if (form.get("seen"), form.get("moves")) == (digest_of(present), _moves(effect)):
            cleaning.put_rules(connection, acting_for(services, request), wanted)
            return redirect(_PATH)
    return _page(rendering, request, present, wanted, effect=effect, is_preview=True, is_stale=True)


HANDLERS: Final[tuple[Any, ...]] = (show_rules, preview_rules, save_rules)


def _page(
    rendering: Renderer,
    request: PageRequest,
    present: CleanUpRules,
    rules: CleanUpRules,
    *,
    effect: CleanUp | None = None,
    problem: ShieldwallError | None = None,
    is_preview: bool = False,
    is_stale: bool = False,
) -> Response[str]:
    return rendering.page(
        request,
        "devices/clean_up.html",
        status=200 if problem is None else 400,
        section="/devices",
        rules=rules,
        limits=_LIMITS,
        effect=effect,
        rows=0 if effect is None else sum(effect.rows.values()),
        moves="" if effect is None else _moves(effect),
        seen=digest_of(present),
        problem=problem,
        is_preview=is_preview,
        is_stale=is_stale,
    )


def _rules_of(form: Mapping[str, str]) -> CleanUpRules:
    """Read the form. Raises: InvalidFormError, InvalidJsonError."""
    silence = whole(form, "silence", "Retire") if form.get("silence", "").strip() else None
    return convert(
        {
            "retireInactiveAfterDays": silence,
            "removeRetiredAfterDays": whole(form, "forget", "Forget"),
            "historyDays": whole(form, "history", "Keep"),
            "autoReplace": "auto_replace" in form,
        },
        CleanUpRules,
    )


def _moves(effect: CleanUp) -> str:
    """Name what happens to devices; traces that go by age change by the minute and are no reason to ask again."""
    return f"{effect.replaced} {effect.retired} {effect.removed}"
