"""Who signed in, for applications that hold an access token (OpenID Connect Core 1.0 section 5.3)."""

from __future__ import annotations

from litestar import Response, route

from shieldwall.server.access.authorization import PUBLIC, UnauthenticatedError
from shieldwall.server.admin.callers import Callers, token_of
from shieldwall.server.admin.parts import part_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.access_tokens import claimed_tenant, person_claims
from shieldwall.server.directory.resource_names import OPENID
from shieldwall.server.identity.describing import USER_INFO, says
from shieldwall.server.identity.errors import IdentityRequest, TokenRequestError
from shieldwall.server.identity.requests import answer


@route(
    "/oidc/userinfo",
    http_method=["GET", "POST"],
    opt={**PUBLIC, **says(USER_INFO, fails=(401, 403, 429))},
    sync_to_thread=True,
)
def user_info(request: IdentityRequest) -> Response[bytes]:
    """Say who the token is about, as far as its scopes let it be known."""
    # The path names no tenant: the token does.
    services, callers = part_of(request.scope, AdminServices), part_of(request.scope, Callers)
    token = token_of(request)
    tenant = services.tenancy.find(claimed_tenant(token))
    if tenant is None:
        raise UnauthenticatedError("The access token is not valid.")
    with services.database.read() as transaction:
        caller = callers.caller_of(request, transaction, tenant, token)
    if caller.person is None or "openid" not in caller.token.permissions:
        cause = "The token is not of a person who signed in with the scope openid."
        raise TokenRequestError("insufficient_scope", cause, number=50013, status=403)
    openid = caller.token.permissions & OPENID
    return answer(person_claims(caller.app.client_id, caller.person, openid, tenant.domain), stored=False)
