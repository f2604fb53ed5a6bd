"""Ending everything that somebody signed in to: sessions and tokens made until now are worth nothing."""

from __future__ import annotations

from typing import Final

from litestar import Response, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Principal, allow, everybody, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import people
from shieldwall.server.graph.describing import does
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.requests import GraphRequest, Services, answer
from shieldwall.server.graph.schemas.applications import SIGN_INS_ENDED
from shieldwall.server.graph.users import within_reach

_ENDING: Final = "User.RevokeSessions.All"


@post(
    "/users/{user_id:str}/revokeSignInSessions",
    opt=allow(_ENDING, "User.ReadWrite.All") | needs(ResourceAction.UPDATE_PEOPLE) | does(SIGN_INS_ENDED),
    sync_to_thread=True,
)
def revoke_sign_in_sessions(services: Services, request: GraphRequest, user_id: FromPath[str]) -> Response[bytes]:
    """End the sign-ins of a person: sessions and tokens made until now are worth nothing."""
    with services.database.write() as connection:
        person = within_reach(connection, services, request, user_id)
        people.end_sessions(connection, acting_for(services, request), person)
    return _ended(services, request)


@post(
    "/me/revokeSignInSessions",
    opt=allow("User.Read", _ENDING, "User.ReadWrite.All") | everybody() | does(SIGN_INS_ENDED, fails=[400]),
    sync_to_thread=True,
)
def revoke_own_sign_in_sessions(services: Services, request: GraphRequest) -> Response[bytes]:
    """End the caller's own sign-ins, that of this token among them."""
    caller: Principal = request.scope["user"]
    if not caller.is_person:
        raise InvalidRequestError("/me is somebody who is signed in; this token is that of an application.")
    with services.database.write() as connection:
        person = people.get(connection, services.tenant.id, caller.id)
        people.end_sessions(connection, acting_for(services, request), person)
    return _ended(services, request)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (revoke_sign_in_sessions, revoke_own_sign_in_sessions)


def _ended(services: AdminServices, request: GraphRequest) -> Response[bytes]:
    version = request.scope["path"].split("/")[1]
    return answer({"@odata.context": f"{services.settings.public_url}/{version}/$metadata#Edm.Boolean", "value": True})
