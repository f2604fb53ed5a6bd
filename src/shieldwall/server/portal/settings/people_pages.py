"""Who administers this tenant: inviting, letting in again, switching off, signing out everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection as Transaction

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Principal, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import holdings, one_time_codes, passkeys, people, sessions
from shieldwall.server.directory.one_time_codes import INVITATION_LIFETIME
from shieldwall.server.directory.people import OutrankedError, PersonDraft
from shieldwall.server.portal.forms import choice
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.paging import page_of
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.following import audited
from shieldwall.server.portal.settings.names_of_access import names_of, roles_of
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.identity import identity_providers
from shieldwall.server.storage.identity import passkeys as stored_passkeys
from shieldwall.server.storage.identity import people as stored_people
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.records import Page

_READ: Final = SIGNED_IN | needs(ResourceAction.READ_PEOPLE)
_WRITE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_PEOPLE, sensitive=True)
_MAY: Final = SIGNED_IN | needs(ResourceAction.UPDATE_PEOPLE)
_NO_ROLE: Final = "none"


@get("/people", opt=_READ, sync_to_thread=True)
def list_people(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show who may come in, by name, and offer to invite somebody."""
    return _list_page(services, rendering, request)


@post("/people", opt=_WRITE, sync_to_thread=True, status_code=200)
def invite_person(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Make a person with a role, and a code that lets them in once."""
    check_form(services, request, form)
    caller: Principal = request.scope["user"]
    try:
        with services.database.write() as connection:
            known = roles_of(connection, services.tenant.id)
            role = choice(form, "role", "Role", (*known, _NO_ROLE))
            acting = acting_at(services, request)
            user_name, display_name = form.get("user_name", ""), form.get("display_name", "").strip()
            person = people.create(connection, acting, user_name=user_name, display_name=display_name)
            if role != _NO_ROLE:
                people.give_role(connection, acting, person, known[role], giver=caller.access)
            code, _ = one_time_codes.make(connection, acting, person)
    except OutrankedError:
        raise
    except ShieldwallError as problem:
        return _list_page(services, rendering, request, form=form, problem=problem)
    return _code_page(services, rendering, request, person, code)


@get("/people/{person_id:str}", opt=_READ, sync_to_thread=True)
def show_person(
    services: Services, rendering: Renderer, request: PageRequest, person_id: FromPath[str]
) -> Response[str]:
    """Show one person: roles, passkeys, accounts elsewhere, sessions."""
    caller: Principal = request.scope["user"]
    with services.database.read() as connection:
        person = people.get(connection, services.tenant.id, person_id)
        found = holdings.holdings_of(connection, person)
        return rendering.page(
            request,
            "settings/person.html",
            section="/people",
            person=person,
            user_name=people.principal_name(person, services.tenant),
            holdings=found,
            names=names_of(connection, services.tenant.id, [each.assignment for each in found]),
            group_names=groups.names(connection, stored_people.groups_of(connection, person.id)),
            passkeys=stored_passkeys.of_person(connection, person.id),
            identities=_identities(connection, services, person),
            sessions=sessions.of_person(connection, person.id, services.clock.now()),
            is_self=person.id == caller.id,
            live=audited(request),
        )


@get("/people/{person_id:str}/delete", opt=_MAY, sync_to_thread=True)
def ask_to_delete_person(
    services: Services, rendering: Renderer, request: PageRequest, person_id: FromPath[str]
) -> Response[str]:
    """Say what removing somebody would do."""
    with services.database.read() as connection:
        person = people.get(connection, services.tenant.id, person_id)
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/people",
        label=marked("Delete the person"),
        subject=person.display_name,
        effect=(
            marked("Their passkeys, sessions and roles are gone for good. The audit log keeps what they did."),
            marked("To keep somebody out for a while, switch the account off instead."),
        ),
        action=f"/people/{person.id}/delete",
        back=f"/people/{person.id}",
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
    ask_to_delete_person,
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


def _list_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    *,
    form: Mapping[str, str] | None = None,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    tenant, search = services.tenant, request.query_params.get("search", "").strip()[:256]
    with services.database.read() as connection:
        page = _page_by_name(connection, tenant.id, page_of(request), search)
        found = people.list_people(connection, tenant.id, page)
        counted = stored_passkeys.count_of_people(connection, tenant.id)
        given = {person.id: holdings.holdings_of(connection, person) for person in found}
        known = roles_of(connection, tenant.id)
        administrators = people.count_administrators(connection, tenant.id)
    rows = [
        (
            person,
            people.principal_name(person, tenant),
            counted.get(person.id, 0),
            tuple(dict.fromkeys(each.role.display_name for each in given[person.id])),
        )
        for person in found
    ]
    return rendering.page(
        request,
        "settings/people.html",
        status=200 if problem is None else 400,
        section="/people",
        rows=rows,
        search=search,
        roles=known.values(),
        is_alone=administrators < 2,
        typed=form or {},
        problem=problem,
        following=found[-1].id if len(found) == page.size else None,
        paged=page.after is not None,
        live=audited(request),
    )


def _page_by_name(connection: Transaction, tenant_id: TenantId, page: Page, search: str) -> Page:
    """Order a page by name, after the person that it names; where they are gone it is the first one."""
    last = stored_people.find(connection, page.after) if page.after else None
    is_there = last is not None and last.tenant_id == tenant_id
    return replace(
        page,
        where=(stored_people.called_like(search),) if search else (),
        order=(stored_people.BY_NAME,),
        after=last.id if last is not None and is_there else None,
        place=(last.display_name,) if last is not None and is_there else (),
    )


def _identities(connection: Transaction, services: AdminServices, person: Person) -> list[tuple[str, str]]:
    """Return where else somebody signs in: the provider's name, and who they are there."""
    providers = {
        each.id: each.display_name for each in identity_providers.list_providers(connection, services.tenant.id, Page())
    }
    found = identity_providers.identities_of_person(connection, person.id)
    return [(providers.get(each.provider_id, each.provider_id), each.subject) for each in found]


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
