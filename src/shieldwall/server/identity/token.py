"""The token endpoint, in both versions, and the end of refresh tokens (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from litestar import Response, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.authorization import PUBLIC
from shieldwall.server.access.throttling import Attempts
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import refresh_tokens
from shieldwall.server.identity.clients import authenticated
from shieldwall.server.identity.describing import (
    PROOF,
    REVOCATION,
    TOKEN,
    TOKEN_OF_VERSION_1,
    TOKEN_REQUEST,
    forgets,
    says,
)
from shieldwall.server.identity.errors import NO_STORE, IdentityRequest, TokenRequestError, invalid_request
from shieldwall.server.identity.grants import Exchange, for_code, for_device_code, for_itself, for_refresh_token
from shieldwall.server.identity.possession import refusing_proofs, shown_proof
from shieldwall.server.identity.requests import Guarding, Services, answer, form_of, issuer_for, shown_by

_DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_GRANTS: Final[Mapping[str, Callable[[Exchange], dict[str, Any]]]] = {
    "client_credentials": for_itself,
    "authorization_code": for_code,
    "refresh_token": for_refresh_token,
    _DEVICE_CODE: for_device_code,
    "device_code": for_device_code,
}
"""What may be exchanged. No passwords, no tokens of others: neither is a proof of who somebody is here."""
_LONGEST_ADDRESS: Final = 45
_FAILS: Final = (401, 429)


@post(
    "/{tenant:str}/oauth2/v2.0/token",
    opt={**PUBLIC, **says(TOKEN, takes=TOKEN_REQUEST, asks=(PROOF,), fails=_FAILS)},
    sync_to_thread=True,
)
def token(
    services: Services, attempts: Guarding, request: IdentityRequest, tenant: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Issue tokens to an application that shows who it is."""
    return answer(_issued(services, attempts, request, tenant, body), stored=False)


@post(
    "/{tenant:str}/oauth2/token",
    opt={**PUBLIC, **says(TOKEN_OF_VERSION_1, takes=TOKEN_REQUEST, asks=(PROOF,), fails=_FAILS)},
    sync_to_thread=True,
)
def token_of_version_1(
    services: Services, attempts: Guarding, request: IdentityRequest, tenant: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Issue tokens to an older client: it names a ``resource``, and reads numbers as texts."""
    issued = _issued(services, attempts, request, tenant, body)
    now = int(services.clock.now().timestamp())
    texts = {
        "expires_in": str(issued["expires_in"]),
        "ext_expires_in": str(issued["ext_expires_in"]),
        "expires_on": str(now + issued["expires_in"]),
        "not_before": str(now),
        "resource": form_of(request, body).get("resource", ""),
    }
    return answer(issued | texts, stored=False)


@post(
    "/{tenant:str}/oauth2/v2.0/revoke", opt={**PUBLIC, **forgets(takes=REVOCATION, fails=_FAILS)}, sync_to_thread=True
)
def revoke(
    services: Services, attempts: Guarding, request: IdentityRequest, tenant: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Take back a refresh token and all that came of its sign-in; one that is not known is taken back already."""
    exchange = _exchange(services, attempts, request, tenant, body)
    if not (text := exchange.form.get("token", "")):
        raise invalid_request("The field token is missing.")
    if exchange.form.get("token_type_hint") == "access_token" and text.count(".") == 2:
        cause = "Access tokens end by themselves; end the sign-ins of the person instead."
        raise TokenRequestError("unsupported_token_type", cause, number=900144)
    with services.database.write() as connection:
        refresh_tokens.revoke(connection, exchange.acting, exchange.app, text)
    return Response(b"", status_code=200, headers=dict(NO_STORE))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (token, token_of_version_1, revoke)


def _issued(
    services: AdminServices, attempts: Attempts, request: IdentityRequest, tenant: str, body: bytes
) -> dict[str, Any]:
    grant = _GRANTS.get(form_of(request, body).get("grant_type", ""))
    if grant is None:
        issuer_for(services, tenant)
        offered = ", ".join(sorted(_GRANTS))
        raise TokenRequestError("unsupported_grant_type", f"The grant types here are {offered}.", number=70003)
    exchange = _exchange(services, attempts, request, tenant, body)
    with refusing_proofs():
        return grant(replace(exchange, proof=shown_proof(services, request, exchange.app)))


def _exchange(
    services: AdminServices, attempts: Attempts, request: IdentityRequest, tenant: str, body: bytes
) -> Exchange:
    issuer = issuer_for(services, tenant)
    form = form_of(request, body)
    shown, client = shown_by(request, form, services), request.scope.get("client")
    address = client[0][:_LONGEST_ADDRESS] if client else ""
    if shown.secret is None:  # what cannot be guessed is no attempt
        app = authenticated(services, issuer, shown)
    else:
        attempts.admit(f"app {shown.client_id}", address)
        app = authenticated(services, issuer, shown)
        attempts.succeeded(f"app {shown.client_id}", address)
    return Exchange(services=services, issuer=issuer, app=app, form=form, address=address or None)
