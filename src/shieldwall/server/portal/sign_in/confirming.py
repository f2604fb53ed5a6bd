"""Proving again who one is, for sensitive acts: a page that asks, and then takes its reader back where they were.

What a form said that was refused for the lack of a fresh proof goes along, and is offered to be sent again afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from markupsafe import escape

from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import decode, encode
from shieldwall.server.access.authorization import Principal, UnauthenticatedError, everybody
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import federation, one_time_codes, sessions
from shieldwall.server.directory.one_time_codes import InvalidInvitationError
from shieldwall.server.directory.relying_party import allowed_of, sign_in_options
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form, find_session, form_token_of, session_cookie
from shieldwall.server.portal.sign_in.browsers import acting_at, address_of_browser
from shieldwall.server.portal.sign_in.limits import Limits
from shieldwall.server.portal.sign_in.proving import (
    asked,
    close_question,
    options_answer,
    party_of,
    person_of_answer,
    proving,
)
from shieldwall.server.portal.sign_in.returning import safe_return, with_return
from shieldwall.server.storage.identity import identity_providers
from shieldwall.server.storage.identity import passkeys as stored_passkeys
from shieldwall.server.storage.identity.sign_in_attempts import Purpose
from shieldwall.server.storage.identity_records import ProofMethod

FORM: Final = "shieldwall.form"
"""Where the guard leaves what a form said that it did not let through."""
_CONFIRM: Final = "/sign-in/confirm"
_OWN: Final = frozenset({"csrf"})
"""Fields that belong to a session's forms, and are written anew."""


def ask_again(rendering: Rendering, request: Request[Any, Any, Any]) -> Response[str] | Redirect:
    """Answer who came too long after their last proof: ask for another, and forget nothing."""
    query = request.url.query
    here = request.url.path + (f"?{query}" if query else "")
    form = request.scope.get(FORM)
    if not isinstance(form, Mapping):
        return redirect(with_return(_CONFIRM, safe_return(here)))
    again = {name: value for name, value in form.items() if name not in _OWN}
    return _page(rendering, request, here, encode(again).decode(), status=401)


@get(_CONFIRM, opt=SIGNED_IN | everybody(), sync_to_thread=True)
def confirm_page(rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask who is signed in to prove it again."""
    return _page(rendering, request, request.query_params.get("return"), "")


@post(f"{_CONFIRM}/options", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def ask_for_own_passkey(services: Services, request: PageRequest, form: Form) -> Response[bytes]:
    """Say what the browser is asked: for a passkey of whoever is signed in."""
    check_form(services, request, form)
    caller: Principal = request.scope["user"]
    with services.database.read() as connection:
        existing = stored_passkeys.of_person(connection, caller.id)
    challenge, cookie = asked(services, request, Purpose.CONFIRM, person_id=caller.id)
    allowed = allowed_of(existing, caller.id, services.settings.nonce_key.read_bytes())
    return options_answer(sign_in_options(party_of(services), challenge, allowed), cookie)


@post(_CONFIRM, opt=SIGNED_IN | everybody(), sync_to_thread=True)
def confirm(
    services: Services, rendering: Renderer, limits: Limits, request: PageRequest, form: Form
) -> Response[str] | Redirect:
    """Take the proof: the session goes on under a new token, and its reader where they were."""
    check_form(services, request, form)
    wanted, again = form.get("return"), form.get("again", "")
    if not form.get("credential"):
        limits.admit_code(address_of_browser(request))
    try:
        token = _proved(services, request, form)
    except ShieldwallError as problem:
        return _page(rendering, request, wanted, again, status=403, problem=problem)
    return gone_on(rendering, request, wanted, again, token)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (confirm_page, ask_for_own_passkey, confirm)


def gone_on(
    rendering: Rendering, request: Request[Any, Any, Any], wanted: str | None, again: str, token: str
) -> Response[str] | Redirect:
    """Take somebody whose session goes on under a new token back where they were, with what their form said."""
    fields = _fields(again)
    if fields is None:
        return redirect(safe_return(wanted), [session_cookie(token)])
    page = rendering.page(
        request,
        "sign_in/continue.html",
        action=safe_return(wanted),
        fields={name: escape(value) for name, value in fields.items()},
        csrf=form_token_of(token),
    )
    page.cookies.append(session_cookie(token))
    return page


def _proved(services: AdminServices, request: PageRequest, form: Mapping[str, str]) -> str:
    """Look at a passkey's answer, or at a code, of whoever is signed in; return the token of the renewed session."""
    caller: Principal = request.scope["user"]
    session = find_session(services, request)
    if session is None:
        raise UnauthenticatedError("Nobody is signed in.")
    acting = acting_at(services, request)
    if answer := form.get("credential", ""):
        attempt, challenge = close_question(services, request, Purpose.CONFIRM, answer, person_id=caller.id)
        with proving(services, request) as connection:
            person_of_answer(connection, services, request, answer=answer, attempt=attempt, challenge=challenge)
            return sessions.prove_again(connection, acting, session, ProofMethod.PASSKEY)[1]
    with services.database.write() as connection:
        person = one_time_codes.use(connection, acting, form.get("code", "").strip())
        if person.id != caller.id:
            raise InvalidInvitationError("This code is somebody else's.")
        return sessions.prove_again(connection, acting, session, ProofMethod.CODE)[1]


def _page(
    rendering: Rendering,
    request: Request[Any, Any, Any],
    wanted: str | None,
    again: str,
    *,
    status: int = 200,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    caller: Principal = request.scope["user"]
    with rendering.services.database.read() as connection:
        theirs = {each.provider_id for each in identity_providers.identities_of_person(connection, caller.id)}
        providers = federation.enabled_providers(connection, caller.tenant_id)
    return rendering.page(
        request,
        "sign_in/confirm_identity.html",
        providers=[each for each in providers if each.id in theirs],
        status=status,
        wanted=safe_return(wanted),
        again=escape(again),  # escaped here and nowhere else, for it has to come back letter by letter
        problem=problem,
    )


def _fields(again: str) -> dict[str, str] | None:
    """Read what a form said, as it was sent along; ``None`` where there was none."""
    if not again:
        return None
    try:
        return decode(again.encode(), dict[str, str])
    except InvalidJsonError:
        return None
