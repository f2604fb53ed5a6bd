"""Who administers this tenant: inviting, letting in again, switching off, signing out everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection as Transaction

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.roles import BUILT_IN
from shieldwall.server.authorization import Principal, needs
from shieldwall.server.directory import one_time_codes, passkeys, people, sessions
from shieldwall.server.directory.one_time_codes import INVITATION_LIFETIME
from shieldwall.server.directory.people import PersonDraft
from shieldwall.server.portal.forms import choice
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.services import AdminServices
from shieldwall.server.storage import passkeys as stored_passkeys
from shieldwall.server.storage import role_assignments
from shieldwall.server.storage.identity_records import Person

_READ: Final = SIGNED_IN | needs(ResourceAction.READ_PEOPLE)
_WRITE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_PEOPLE, sensitive=True)
_NO_ROLE: Final = "none"


@get("/people", opt=_READ, sync_to_thread=True)
def list_people(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show who may come in, and offer to invite somebody."""
    tenant = services.tenant
    with services.database.read() as connection:
        found = people.list_people(connection, tenant.id, page_of(request))
        counted = stored_passkeys.count_of_people(connection, tenant.id)
        roles = _roles(connection, services)
        administrators = people.count_administrators(connection, tenant.id)
    rows = [
        (person, people.principal_name(person, tenant), counted.get(person.id, 0), roles.get(person.id, []))
        for person in found
    ]
    return rendering.page(
        request,
        "settings/people.html",
        section="/people",
        rows=rows,
        roles=BUILT_IN.values(),
        is_alone=administrators < 2,
        **paging(request, [person.id for person in found]),
    )


@post("/people", opt=_WRITE, sync_to_thread=True, status_code=200)
def invite_person(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Make a person with a role, and a code that lets them in once."""
    check_form(services, request, form)
    caller: Principal = request.scope["user"]
    role = choice(form, "role", "Role", (*BUILT_IN, _NO_ROLE))
    with services.database.write() as connection:
        acting = acting_at(services, request)
        user_name, display_name = form.get("user_name", ""), form.get("display_name", "").strip()
        person = people.create(connection, acting, user_name=user_name, display_name=display_name)
        if role != _NO_ROLE:
            people.give_role(connection, acting, person, BUILT_IN[role], giver=caller.access)
        code, _ = one_time_codes.make(connection, acting, person)
    return _code_page(services, rendering, request, person, code)


@get("/people/{person_id:str}", opt=_READ, sync_to_thread=True)
def show_person(
    services: Services, rendering: Renderer, request: PageRequest, person_id: FromPath[str]
) -> Response[str]:
    """Show one person: roles, passkeys, sessions."""
    with services.database.read() as connection:
        person = people.get(connection, services.tenant.id, person_id)
        return rendering.page(
            request,
            "settings/person.html",
            section="/people",
            person=person,
            user_name=people.principal_name(person, services.tenant),
            roles=_roles(connection, services).get(person.id, []),
            passkeys=stored_passkeys.of_person(connection, person.id),
            sessions=sessions.of_person(connection, person.id, services.clock.now()),
        )


@post("/people/{person_id:str}/code", opt=_WRITE, sync_to_thread=True, status_code=200)
def make_code(
    services: Services, rendering: Renderer, request: PageRequest, person_id: FromPath[str], form: Form
) -> Response[str]:
    """Make a code that lets somebody in again who lost what they sign in with."""
    check_form(services, request, form)
    with services.database.write() as connection:
        person = _within_reach(connection, services, request, person_id)
        code, _ = one_time_codes.make(connection, acting_at(services, request), person)
    return _code_page(services, rendering, request, person, code)


@post("/people/{person_id:str}/end-sessions", opt=_WRITE, sync_to_thread=True)
def end_sessions(services: Services, request: PageRequest, person_id: FromPath[str], form: Form) -> Redirect:
    """Sign somebody out everywhere."""
    check_form(services, request, form)
    with services.database.write() as connection:
        person = _within_reach(connection, services, request, person_id)
        people.end_sessions(connection, acting_at(services, request), person)
    return redirect(f"/people/{person.id}")


@post("/people/{person_id:str}/account", opt=_WRITE, sync_to_thread=True)
def switch_account(services: Services, request: PageRequest, person_id: FromPath[str], form: Form) -> Redirect:
    """Switch somebody's account on or off."""
    check_form(services, request, form)
    draft = PersonDraft(enabled=choice(form, "enabled", "Account", ("yes", "no")) == "yes")
    with services.database.write() as connection:
        person = _within_reach(connection, services, request, person_id)
        people.change(connection, acting_at(services, request), person, draft)
    return redirect(f"/people/{person.id}")


@post("/people/{person_id:str}/delete", opt=_WRITE, sync_to_thread=True)
def delete_person(services: Services, request: PageRequest, person_id: FromPath[str], form: Form) -> Redirect:
    """Remove somebody."""
    check_form(services, request, form)
    with services.database.write() as connection:
        person = _within_reach(connection, services, request, person_id)
        people.delete(connection, acting_at(services, request), person)
    return redirect("/people")


@post("/people/{person_id:str}/passkeys/{passkey_digest:str}/remove", opt=_WRITE, sync_to_thread=True)
def remove_passkey_of(
    services: Services, request: PageRequest, person_id: FromPath[str], passkey_digest: FromPath[str], form: Form
) -> Redirect:
    """Remove a passkey of somebody else, who may be let in again by a code."""
    check_form(services, request, form)
    caller: Principal = request.scope["user"]
    with services.database.write() as connection:
        person = _within_reach(connection, services, request, person_id)
        acting, is_other = acting_at(services, request), person.id != caller.id
        passkeys.remove(connection, acting, person, passkey_digest, has_other_way=is_other)
    return redirect(f"/people/{person.id}")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_people,
    invite_person,
    show_person,
    make_code,
    end_sessions,
    switch_account,
    delete_person,
    remove_passkey_of,
)


def _within_reach(connection: Transaction, services: AdminServices, request: PageRequest, person_id: str) -> Person:
    """Find a person over whom the caller may have power. Raises: NotFoundError, OutrankedError."""
    caller: Principal = request.scope["user"]
    person = people.get(connection, services.tenant.id, person_id)
    people.require_no_less(connection, caller.access, person)
    return person


def _roles(connection: Transaction, services: AdminServices) -> Mapping[str, list[str]]:
    """Say which assignments name whom directly."""
    found: dict[str, list[str]] = {}
    for assignment in role_assignments.all_of_tenant(connection, services.tenant.id):
        role = BUILT_IN.get(assignment.role_id)
        for member in assignment.members:
            found.setdefault(member, []).append(role.display_name if role else assignment.display_name)
    return found


def _code_page(
    services: AdminServices, rendering: Rendering, request: PageRequest, person: Person, code: str
) -> Response[str]:
    return rendering.page(
        request,
        "sign_in/one_time_code.html",
        section="/people",
        person=person,
        link=f"{services.settings.public_url}/sign-in?code={code}",
        code=code,
        minutes=INVITATION_LIFETIME.seconds // 60,
    )
