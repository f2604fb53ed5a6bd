"""One's own account: passkeys, and sessions that are open."""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection as Transaction

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.authorization import Principal, everybody
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import federation, holdings, passkeys, people, sessions
from shieldwall.server.directory.relying_party import registration_options
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form, find_session, session_cookie
from shieldwall.server.portal.settings.names_of_access import granted_by, names_of
from shieldwall.server.portal.sign_in.browsers import acting_at, browser_in_words
from shieldwall.server.portal.sign_in.proving import asked, close_question, options_answer, party_of
from shieldwall.server.portal.sign_in.returning import safe_return
from shieldwall.server.storage.identity import identity_providers
from shieldwall.server.storage.identity import passkeys as stored_passkeys
from shieldwall.server.storage.identity import sessions as stored_sessions
from shieldwall.server.storage.identity.sign_in_attempts import Purpose
from shieldwall.server.storage.identity_records import Person

_OWN: Final = SIGNED_IN | everybody()
_OWN_SENSITIVE: Final = SIGNED_IN | everybody(sensitive=True)


@get("/account", opt=_OWN, sync_to_thread=True)
def show_account(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show one's passkeys, sessions and rights, and what is missing for never being locked out."""
    own = find_session(services, request)
    with services.database.read() as connection:
        person = _self(connection, services, request)
        found = holdings.holdings_of(connection, person)
        return rendering.page(
            request,
            "sign_in/account.html",
            areas=granted_by(found),
            roles=tuple(dict.fromkeys(each.role.display_name for each in found)),
            names=names_of(connection, services.tenant.id, [each.assignment for each in found]),
            person=person,
            user_name=people.principal_name(person, services.tenant),
            passkeys=stored_passkeys.of_person(connection, person.id),
            identities=identity_providers.identities_of_person(connection, person.id),
            sessions=sessions.of_person(connection, person.id, services.clock.now()),
            providers=federation.enabled_providers(connection, services.tenant.id),
            own=None if own is None else own.token_digest,
            is_alone=people.count_administrators(connection, services.tenant.id) < 2,
        )


@get("/account/passkeys/new", opt=_OWN_SENSITIVE, sync_to_thread=True)
def new_passkey(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask for a name, and let the browser make a passkey."""
    return _new_page(services, rendering, request, request.query_params.get("return"))


@post("/account/passkeys/options", opt=_OWN_SENSITIVE, sync_to_thread=True)
def ask_to_make_passkey(services: Services, request: PageRequest, form: Form) -> Response[bytes]:
    """Say what the browser is asked: to make a passkey where there is none of ours."""
    check_form(services, request, form)
    with services.database.read() as connection:
        person = _self(connection, services, request)
        existing = stored_passkeys.of_person(connection, person.id)
    challenge, cookie = asked(services, request, Purpose.REGISTER, person_id=person.id)
    return options_answer(registration_options(party_of(services), person, existing, challenge), cookie)


@post("/account/passkeys", opt=_OWN_SENSITIVE, sync_to_thread=True)
def add_passkey(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Keep the passkey that the browser has made."""
    check_form(services, request, form)
    caller: Principal = request.scope["user"]
    answer, wanted = form.get("credential", ""), form.get("return")
    try:
        _, challenge = close_question(services, request, Purpose.REGISTER, answer, person_id=caller.id)
        with services.database.write() as connection:
            passkeys.register(
                connection,
                acting_at(services, request),
                party_of(services),
                _self(connection, services, request),
                answer=answer,
                challenge=challenge,
                display_name=form.get("name", "").strip(),
            )
    except ShieldwallError as problem:
        return _new_page(services, rendering, request, wanted, problem=problem)
    return redirect("/account" if safe_return(wanted) == "/" else safe_return(wanted))


@post("/account/passkeys/{passkey_digest:str}/rename", opt=_OWN, sync_to_thread=True)
def rename_passkey(services: Services, request: PageRequest, passkey_digest: FromPath[str], form: Form) -> Redirect:
    """Call a passkey something else."""
    check_form(services, request, form)
    with services.database.write() as connection:
        person = _self(connection, services, request)
        name = form.get("name", "").strip()
        passkeys.rename(connection, acting_at(services, request), person, passkey_digest, name)
    return redirect("/account")


@post("/account/passkeys/{passkey_digest:str}/remove", opt=_OWN_SENSITIVE, sync_to_thread=True)
def remove_passkey(services: Services, request: PageRequest, passkey_digest: FromPath[str], form: Form) -> Redirect:
    """Remove a passkey of one's own, unless it is the last way in."""
    check_form(services, request, form)
    with services.database.write() as connection:
        person = _self(connection, services, request)
        elsewhere = bool(identity_providers.identities_of_person(connection, person.id))
        acting = acting_at(services, request)
        passkeys.remove(connection, acting, person, passkey_digest, has_other_way=elsewhere)
    return redirect("/account")


@post("/account/sessions/end", opt=_OWN, sync_to_thread=True)
def end_session(services: Services, request: PageRequest, form: Form) -> Redirect:
    """End one of one's own sessions."""
    check_form(services, request, form)
    with services.database.write() as connection:
        person = _self(connection, services, request)
        for session in stored_sessions.of_person(connection, person.id):
            if session.token_digest == form.get("session"):
                sessions.sign_out(connection, acting_at(services, request), session)
    return redirect("/account")


@post("/account/sessions/end-all", opt=_OWN, sync_to_thread=True)
def end_all_sessions(services: Services, request: PageRequest, form: Form) -> Redirect:
    """Sign out everywhere, here as well."""
    check_form(services, request, form)
    with services.database.write() as connection:
        people.end_sessions(connection, acting_at(services, request), _self(connection, services, request))
    return redirect("/sign-in", [session_cookie("", max_age=0)])


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    show_account,
    new_passkey,
    ask_to_make_passkey,
    add_passkey,
    rename_passkey,
    remove_passkey,
    end_session,
    end_all_sessions,
)


def _self(connection: Transaction, services: AdminServices, request: PageRequest) -> Person:
    caller: Principal = request.scope["user"]
    return people.get(connection, services.tenant.id, caller.id)


def _new_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    wanted: str | None,
    *,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    with services.database.read() as connection:
        count = len(stored_passkeys.of_person(connection, _self(connection, services, request).id))
    return rendering.page(
        request,
        "sign_in/passkey_new.html",
        status=200 if problem is None else 400,
        problem=problem,
        wanted=safe_return(wanted),
        count=count,
        suggested=browser_in_words(request.headers.get("user-agent", "")),
    )
