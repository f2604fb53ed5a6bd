"""``/users`` and ``/me``: the people who administer the tenant."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Principal, allow, everybody, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import people
from shieldwall.server.directory.people import PersonDraft
from shieldwall.server.graph.describing import changes, creates, lists, removes, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.fields.people import USER_FIELDS
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import group_resource
from shieldwall.server.graph.schemas.groups import GROUP
from shieldwall.server.graph.schemas.people import NEW_USER, USER, USER_CHANGES
from shieldwall.server.graph.user_shapes import user_resource
from shieldwall.server.storage.groups import groups as stored_groups
from shieldwall.server.storage.identity import people as stored_people
from shieldwall.server.storage.identity_records import Person

_READ: Final = allow("User.Read.All", "User.ReadWrite.All")
_WRITE: Final = allow("User.ReadWrite.All")
_OWN: Final = allow("User.Read", "User.Read.All", "User.ReadWrite.All")
_CHANGE: Final = needs(ResourceAction.UPDATE_PEOPLE, sensitive=True)
_USER: Final = "/users/{user_id:str}"


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Somebody who may do nothing yet. What clients send beside, such as ``mailNickname``, says nothing here."""

    user_principal_name: str
    display_name: str
    account_enabled: bool = True
    mail_nickname: str | None = None
    user_type: str | None = None


class UserChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What may be changed of a person."""

    display_name: str | None = None
    account_enabled: bool | None = None


@get("/users", opt=_READ | needs(ResourceAction.READ_PEOPLE) | lists(USER), sync_to_thread=True)
def list_users(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the people of the tenant, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = people.list_people(connection, services.tenant.id, query.page_of(USER_FIELDS))
    rows = [(person.id, user_resource(person, services.tenant)) for person in found]
    return page_answer(services, request, query, rows, USER_FIELDS)


@post("/users", opt=_WRITE | _CHANGE | creates(USER, takes=NEW_USER, fails=[409]), sync_to_thread=True)
def create_user(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make a person, who may do nothing yet, and gets in by a one-time code."""
    wanted = body_of(request, body, NewUser)
    with services.database.write() as connection:
        person = people.create(
            connection,
            acting_for(services, request),
            user_name=wanted.user_principal_name,
            display_name=wanted.display_name,
            enabled=wanted.account_enabled,
        )
    return answer(user_resource(person, services.tenant), status=201)


@get(_USER, opt=_READ | needs(ResourceAction.READ_PEOPLE) | shows(USER), sync_to_thread=True)
def get_user(services: Services, request: GraphRequest, user_id: FromPath[str]) -> Response[bytes]:
    """Return one person, by id or by user principal name."""
    query = query_of(request)
    with services.database.read() as connection:
        person = named_person(connection, services, user_id)
    return answer(query.shape(user_resource(person, services.tenant), USER_FIELDS))


@patch(_USER, opt=_WRITE | _CHANGE | changes(takes=USER_CHANGES, fails=[409]), sync_to_thread=True)
def patch_user(services: Services, request: GraphRequest, user_id: FromPath[str], body: RawBody) -> Response[None]:
    """Rename a person, or switch their account on or off."""
    wanted = body_of(request, body, UserChanges)
    draft = PersonDraft(display_name=wanted.display_name, enabled=wanted.account_enabled)
    with services.database.write() as connection:
        person = within_reach(connection, services, request, user_id)
        people.change(connection, acting_for(services, request), person, draft)
    return empty()


@delete(_USER, opt=_WRITE | _CHANGE | removes(fails=[409]), sync_to_thread=True)
def delete_user(services: Services, request: GraphRequest, user_id: FromPath[str]) -> Response[None]:
    """Remove a person, with their passkeys and sessions."""
    with services.database.write() as connection:
        person = within_reach(connection, services, request, user_id)
        people.delete(connection, acting_for(services, request), person)
    return empty()


def list_groups_of_user(services: Services, request: GraphRequest, user_id: FromPath[str]) -> Response[bytes]:
    """List the groups that a person belongs to; groups do not belong to groups."""
    query = query_of(request)
    with services.database.read() as connection:
        person = named_person(connection, services, user_id)
        named = sorted(stored_people.groups_of(connection, person.id))
        found = [stored_groups.get(connection, group_id) for group_id in named]
    kind = {"@odata.type": "#microsoft.graph.group"}
    return list_answer(services, request, query, [kind | group_resource(group) for group in found])


@get("/me", opt=_OWN | everybody() | shows(USER, fails=[400]), sync_to_thread=True)
def get_me(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return whoever is signed in; an application is nobody."""
    query = query_of(request)
    caller: Principal = request.scope["user"]
    if not caller.is_person:
        raise InvalidRequestError("/me is somebody who is signed in; this token is that of an application.")
    with services.database.read() as connection:
        person = people.get(connection, services.tenant.id, caller.id)
    return answer(query.shape(user_resource(person, services.tenant), USER_FIELDS))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_users,
    create_user,
    get_user,
    patch_user,
    delete_user,
    *(
        get(f"{_USER}/{name}", opt=_READ | needs(ResourceAction.READ_PEOPLE) | lists(GROUP), sync_to_thread=True)(
            list_groups_of_user
        )
        for name in ("memberOf", "memberOf/group", "transitiveMemberOf", "transitiveMemberOf/group")
    ),
    get_me,
)


def named_person(connection: Connection, services: AdminServices, text: str) -> Person:
    """Find a person by id or by user principal name. Raises: NotFoundError."""
    found = people.named(connection, services.tenant, text) if "@" in text and text.isprintable() else None
    return found or people.get(connection, services.tenant.id, text.lower())


def within_reach(connection: Connection, services: AdminServices, request: GraphRequest, text: str) -> Person:
    """Find a person over whom the caller may have power. Raises: NotFoundError, OutrankedError."""
    caller: Principal = request.scope["user"]
    person = named_person(connection, services, text)
    people.require_no_less(connection, caller.access, person)
    return person
