"""Signing in with a passkey or a one-time code, and out again.

A session is always a new one: whoever was signed in here before no longer is.
"""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post
from litestar.params import FromQuery
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection as Transaction

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.authorization import PUBLIC, everybody
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import administrators, federation, people, sessions
from shieldwall.server.directory.names import is_name
from shieldwall.server.directory.relying_party import allowed_of, sign_in_options
from shieldwall.server.portal.first_run.beginning import WELCOME, begins
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form, check_origin, find_session, session_cookie
from shieldwall.server.portal.sign_in.browsers import acting_at, address_of_browser, client_of
from shieldwall.server.portal.sign_in.limits import Limits
from shieldwall.server.portal.sign_in.proving import (
    asked,
    close_question,
    options_answer,
    party_of,
    person_of_answer,
    proving,
)
from shieldwall.server.portal.sign_in.returning import OVERVIEW, safe_return, with_return
from shieldwall.server.storage.identity import passkeys as stored_passkeys
from shieldwall.server.storage.identity import people as stored_people
from shieldwall.server.storage.identity.sign_in_attempts import Purpose
from shieldwall.server.storage.identity_records import ProofMethod, Session
from shieldwall.server.storage.records import Tenant

_LONGEST_CODE: Final = 128
_LONGEST_NAME: Final = 256
_FIRST_PASSKEY: Final = "/account/passkeys/new"


@get("/sign-in", opt=PUBLIC, sync_to_thread=True)
def sign_in_page(
    services: Services, rendering: Renderer, request: PageRequest, code: FromQuery[str] = ""
) -> Response[str]:
    """Offer to sign in. Looking at the link does not use it up: programs that preview links only look."""
    return _page(services, rendering, request, request.query_params.get("return"), code=code[:_LONGEST_CODE])


@post("/sign-in", opt=PUBLIC, sync_to_thread=True)
def sign_in(
    services: Services, rendering: Renderer, limits: Limits, request: PageRequest, form: Form
) -> Response[str] | Redirect:
    """Redeem a code; whoever has no passkey yet is led to making one."""
    check_origin(services, request)
    address = address_of_browser(request)
    limits.admit_code(address)
    wanted, before = safe_return(form.get("return")), find_session(services, request)
    try:
        with services.database.write() as connection:
            acting, code = acting_at(services, request), form.get("code", "").strip()
            session, token = administrators.redeem(connection, acting, code, client=client_of(request))
            _end(connection, services, request, before)
            has_passkey = bool(stored_passkeys.of_person(connection, session.person_id))
            wanted = _first_page(connection, session.person_id, wanted)
    except ShieldwallError as problem:
        return _page(services, rendering, request, wanted, problem=problem)
    limits.code_was_right(address)
    return redirect(wanted if has_passkey else with_return(_FIRST_PASSKEY, wanted), [session_cookie(token)])


@post("/sign-in/options", opt=PUBLIC, sync_to_thread=True)
def ask_for_passkey(services: Services, limits: Limits, request: PageRequest, form: Form) -> Response[bytes]:
    """Say what the browser is asked: for any passkey of ours, or for one of somebody whose name was typed."""
    check_origin(services, request)
    limits.admit_question(address_of_browser(request))
    name = form.get("name", "").strip()[:_LONGEST_NAME]
    if not name:
        challenge, cookie = asked(services, request, Purpose.SIGN_IN)
        return options_answer(sign_in_options(party_of(services), challenge), cookie)
    tenant = _tenant(services, form.get("return"), form.get("tenant"))
    with services.database.read() as connection:
        person = people.named(connection, tenant, name) if is_name(name) else None
        existing = () if person is None else stored_passkeys.of_person(connection, person.id)
    person_id = None if person is None else person.id
    challenge, cookie = asked(
        services.of(tenant), request, Purpose.SIGN_IN, person_id=person_id, details={"named": name}
    )
    allowed = allowed_of(existing, f"{tenant.id} {name.lower()}", services.settings.nonce_key.read_bytes())
    return options_answer(sign_in_options(party_of(services), challenge, allowed), cookie)


@post("/sign-in/passkey", opt=PUBLIC, sync_to_thread=True)
def sign_in_with_passkey(
    services: Services, rendering: Renderer, request: PageRequest, form: Form
) -> Response[str] | Redirect:
    """Look at a passkey's answer and begin a session."""
    check_origin(services, request)
    wanted, before = safe_return(form.get("return")), find_session(services, request)
    answer = form.get("credential", "")
    try:
        attempt, challenge = close_question(services, request, Purpose.SIGN_IN, answer)
        with proving(services, request) as connection:
            person = person_of_answer(
                connection, services, request, answer=answer, attempt=attempt, challenge=challenge
            )
            acting = acting_at(services, request)
            _, token = sessions.begin(connection, acting, person, ProofMethod.PASSKEY, client=client_of(request))
            _end(connection, services, request, before)
            wanted = _first_page(connection, person.id, wanted)
    except ShieldwallError as problem:
        return _page(services, rendering, request, wanted, problem=problem)
    return redirect(wanted, [session_cookie(token)])


@post("/sign-out", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def sign_out(services: Services, request: PageRequest, form: Form) -> Redirect:
    """End the session."""
    check_form(services, request, form)
    session = find_session(services, request)
    with services.database.write() as connection:
        _end(connection, services, request, session)
    return redirect("/sign-in", [session_cookie("", max_age=0)])


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    sign_in_page,
    sign_in,
    ask_for_passkey,
    sign_in_with_passkey,
    sign_out,
)


def _end(connection: Transaction, services: AdminServices, request: PageRequest, session: Session | None) -> None:
    if session is not None:
        sessions.sign_out(connection, acting_at(services, request, f"person:{session.display_name}"), session)


def _first_page(connection: Transaction, person_id: str, wanted: str) -> str:
    """Lead whoever wanted nothing in particular to the first steps, while no device ever came."""
    person = stored_people.find(connection, person_id) if wanted == OVERVIEW else None
    return WELCOME if person is not None and begins(connection, person) else wanted


def _page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    wanted: str | None,
    *,
    code: str = "",
    problem: ShieldwallError | None = None,
) -> Response[str]:
    tenant = _tenant(services, wanted, request.query_params.get("tenant"))
    with services.database.read() as connection:
        providers = federation.enabled_providers(connection, tenant.id)
    return rendering.page(
        request,
        "sign_in/sign_in.html",
        status=200 if problem is None else 403,
        code=code,
        problem=problem,
        providers=providers,
        wanted=safe_return(wanted),
        to_tenant="" if tenant.id == services.tenant.id else tenant.domain,
    )


def _tenant(services: AdminServices, wanted: str | None, named: str | None) -> Tenant:
    """Choose whose page this is: the tenant's that is named, or whose application asks, else that of the server."""
    for name in (named or "", safe_return(wanted).split("/")[1]):
        found = services.tenancy.named(name) if name and is_name(name) else None
        if found is not None:
            return found
    return services.tenant
