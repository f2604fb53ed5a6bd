"""``/users/{id}/authentication``: passkeys, and one-time codes in the shape of Graph's temporary access passes.

Whoever may make a code for a person may become that person, so it has a permission of its own, as there.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Principal, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.directory import one_time_codes, passkeys
from shieldwall.server.graph.describing import creates, lists, removes
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    query_of,
)
from shieldwall.server.graph.schemas.people import NEW_CODE, ONE_TIME_CODE, PASSKEY
from shieldwall.server.graph.user_shapes import code_resource, passkey_resource
from shieldwall.server.graph.users import named_person, within_reach
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity import invitations
from shieldwall.server.storage.identity import passkeys as stored_passkeys

_READ: Final = allow("UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All") | needs(
    ResourceAction.READ_PEOPLE
)
_WRITE: Final = allow("UserAuthenticationMethod.ReadWrite.All") | needs(ResourceAction.UPDATE_PEOPLE, sensitive=True)
_METHODS: Final = "/users/{user_id:str}/authentication"


class NewCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Codes are for one use, within fifteen minutes, from now on."""

    lifetime_in_minutes: Literal[15] = 15
    is_usable_once: Literal[True] = True
    start_date_time: str | None = None


@get(f"{_METHODS}/fido2Methods", opt=_READ | lists(PASSKEY), sync_to_thread=True)
def list_passkeys(services: Services, request: GraphRequest, user_id: FromPath[str]) -> Response[bytes]:
    """List the passkeys of a person."""
    query = query_of(request)
    with services.database.read() as connection:
        person = named_person(connection, services, user_id)
        found = stored_passkeys.of_person(connection, person.id)
    return list_answer(services, request, query, list(map(passkey_resource, found)))


@delete(f"{_METHODS}/fido2Methods/{{passkey_id:str}}", opt=_WRITE | removes(fails=[409]), sync_to_thread=True)
def delete_passkey(
    services: Services, request: GraphRequest, user_id: FromPath[str], passkey_id: FromPath[str]
) -> Response[None]:
    """Remove a passkey of a person; nobody removes the last one of their own."""
    caller: Principal = request.scope["user"]
    with services.database.write() as connection:
        person = within_reach(connection, services, request, user_id)
        acting = acting_for(services, request)
        passkeys.remove(connection, acting, person, passkey_id, has_other_way=person.id != caller.id)
    return empty()


@get(f"{_METHODS}/temporaryAccessPassMethods", opt=_READ | lists(ONE_TIME_CODE), sync_to_thread=True)
def list_codes(services: Services, request: GraphRequest, user_id: FromPath[str]) -> Response[bytes]:
    """List the one-time codes of a person that can still be used, without the codes."""
    query, now = query_of(request), services.clock.now()
    with services.database.read() as connection:
        person = named_person(connection, services, user_id)
        found = invitations.open_of_person(connection, person.id, now)
    return list_answer(services, request, query, [code_resource(each, now) for each in found])


@post(
    f"{_METHODS}/temporaryAccessPassMethods",
    opt=_WRITE | creates(ONE_TIME_CODE, takes=NEW_CODE),
    sync_to_thread=True,
)
def create_code(services: Services, request: GraphRequest, user_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Make a one-time code that lets a person in; those that were made before are worth nothing from then on."""
    body_of(request, body, NewCode)
    with services.database.write() as connection:
        person = within_reach(connection, services, request, user_id)
        code, made = one_time_codes.make(connection, acting_for(services, request), person)
    url = f"{services.settings.public_url}/sign-in?code={code}"
    return answer(code_resource(made, services.clock.now(), code=code, url=url), status=201)


@delete(f"{_METHODS}/temporaryAccessPassMethods/{{code_id:str}}", opt=_WRITE | removes(), sync_to_thread=True)
def delete_code(
    services: Services, request: GraphRequest, user_id: FromPath[str], code_id: FromPath[str]
) -> Response[None]:
    """Withdraw a one-time code."""
    with services.database.write() as connection:
        person = within_reach(connection, services, request, user_id)
        known = invitations.open_of_person(connection, person.id, services.clock.now())
        if code_id not in {each.code_digest for each in known}:
            raise NotFoundError(f"There is no one-time code {code_id[:64]}.")
        invitations.remove_of_person(connection, person.id)
        acting_for(services, request).record(
            connection, "person.codeWithdrawn", "person", person.id, name=person.display_name
        )
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_passkeys,
    delete_passkey,
    list_codes,
    create_code,
    delete_code,
)
