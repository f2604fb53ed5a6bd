"""The identity platform's end points: discovery, keys, tokens."""

from __future__ import annotations

import base64
import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import UUID_PATTERN
from shieldwall.contract.strict_json import encode
from shieldwall.server.admin_requests import record_of
from shieldwall.server.authorization import PUBLIC
from shieldwall.server.directory import apps
from shieldwall.server.directory.apps import InvalidClientError
from shieldwall.server.graph.errors import status_of
from shieldwall.server.graph.requests import JSON, GraphRequest, Services, answer
from shieldwall.server.graph.schemas.identity import DISCOVERY, KEYS, TOKEN, TOKEN_REQUEST, refuses, says
from shieldwall.server.graph.tokens import LIFETIME, TokenIssuer, TokenRequestError
from shieldwall.server.services import AdminServices

_FORM: Final = "application/x-www-form-urlencoded"
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_MOST_FIELDS: Final = 50
_ID: Final = re.compile(UUID_PATTERN)
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"


@get("/{tenant:str}/v2.0/.well-known/openid-configuration", opt={**PUBLIC, **says(DISCOVERY)}, sync_to_thread=False)
def discovery(services: Services, request: GraphRequest, tenant: FromPath[str]) -> Response[bytes]:
    """Describe this issuer (OpenID Connect Discovery 1.0)."""
    issuer = issuer_of(services)
    if not issuer.names_tenant(tenant):
        return _refusal(services, request, _unknown_tenant(tenant))
    base = f"{issuer.public_url}/{issuer.tenant_id}"
    return answer(
        {
            "issuer": issuer.issuer,
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
            "claims_supported": ["aud", "iss", "iat", "exp", "nbf", "oid", "sub", "tid", "ver", "roles", "appid"],
            "tenant_region_scope": None,
        }
    )


@get("/{tenant:str}/discovery/v2.0/keys", opt={**PUBLIC, **says(KEYS)}, sync_to_thread=True)
def keys(services: Services, request: GraphRequest, tenant: FromPath[str]) -> Response[bytes]:
    """Publish the keys that sign tokens (RFC 7517)."""
    if not issuer_of(services).names_tenant(tenant):
        return _refusal(services, request, _unknown_tenant(tenant))
    return answer(services.signer.jwks())


@get("/{tenant:str}/oauth2/v2.0/authorize", opt={**PUBLIC, **refuses()}, sync_to_thread=False)
def authorize(services: Services, request: GraphRequest, tenant: FromPath[str]) -> Response[bytes]:
    """Refuse: people sign in to the admin center, only applications get tokens. Discovery has to name this place."""
    if not issuer_of(services).names_tenant(tenant):
        return _refusal(services, request, _unknown_tenant(tenant))
    cause = "Only applications with a secret get tokens here, by client_credentials."
    return _refusal(services, request, TokenRequestError("unsupported_response_type", cause, number=700054))


@post(
    "/{tenant:str}/oauth2/v2.0/token",
    opt={**PUBLIC, **says(TOKEN, takes=TOKEN_REQUEST, fails=frozenset({401}))},
    sync_to_thread=True,
    status_code=200,
)
def token(services: Services, request: GraphRequest, tenant: FromPath[str], body: RawBody) -> Response[bytes]:
    """Issue an access token to an application that knows its secret (RFC 6749 section 4.4)."""
    try:
        issued = _issue(services, request, tenant, body)
    except TokenRequestError as error:
        return _refusal(services, request, error)
    except ShieldwallError as error:
        if status_of(error) != 503:
            raise
        cause = "The server cannot issue tokens just now."
        refused = TokenRequestError("temporarily_unavailable", cause, number=90033, status=503)
        return _refusal(services, request, refused)
    return Response(encode(issued), status_code=200, media_type=JSON, headers=_NO_STORE)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (discovery, keys, authorize, token)


def issuer_of(services: AdminServices) -> TokenIssuer:
    """Say what this server puts into the tokens of a tenant."""
    return TokenIssuer(
        tenant_id=services.tenant.id,
        tenant_domain=services.tenant.domain,
        public_url=services.settings.public_url,
    )


def _issue(services: AdminServices, request: GraphRequest, tenant: str, body: RawBody) -> dict[str, Any]:
    issuer = issuer_of(services)
    if not issuer.names_tenant(tenant):
        raise _unknown_tenant(tenant)
    form = _form(request, body)
    if form.get("grant_type") != "client_credentials":
        raise TokenRequestError(
            "unsupported_grant_type", "Only the grant type client_credentials is offered.", number=70003
        )
    client_id, secret = _credentials(request, form)
    audience = issuer.audience_of(scope=form.get("scope", ""), resource=form.get("resource", ""))
    now = services.clock.now()
    with services.database.read() as connection:
        try:
            app = apps.authenticate_app(connection, issuer.tenant_id, client_id, secret, now=now)
        except InvalidClientError:
            cause = "The client id or the secret is not right, or the secret has expired."
            raise TokenRequestError("invalid_client", cause, number=7000215, status=401) from None
    claims = issuer.claims(app, audience=audience, now=now, token_id=services.new_id())
    lifetime = int(LIFETIME.total_seconds())
    return {
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": services.signer.sign_token(claims),
    }


def _form(request: GraphRequest, body: RawBody) -> dict[str, str]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _FORM:
        raise TokenRequestError("invalid_request", f"The body must be {_FORM}.", number=900144)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), strict_parsing=True, keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise TokenRequestError("invalid_request", "The body is not a well-formed form.", number=900144) from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise TokenRequestError("invalid_request", "A field stands twice.", number=900144)
    return form


def _credentials(request: GraphRequest, form: dict[str, str]) -> tuple[str, str]:
    """Find client id and secret in the form or in the header (RFC 6749 section 2.3.1), never in both."""
    header = request.headers.get("authorization")
    if header is None:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    elif "client_secret" in form:
        raise TokenRequestError("invalid_request", "The secret stands in the form and in the header.", number=900144)
    else:
        client_id, secret = _basic(header)
    known = client_id.lower()
    return (known if _ID.match(known) else _NOBODY), secret  # goes on, so that no shape of an id is answered sooner


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        pair = ""
    client_id, colon, secret = pair.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise TokenRequestError("invalid_request", "The header Authorization cannot be read.", number=900144)
    return unquote_plus(client_id), unquote_plus(secret)


def _unknown_tenant(tenant: str) -> TokenRequestError:
    return TokenRequestError("invalid_tenant", f"Tenant {tenant[:64]!r} was not found.", number=90002)


def _refusal(services: AdminServices, request: GraphRequest, error: TokenRequestError) -> Response[bytes]:
    record = record_of(request.scope)
    record.error = error.error
    headers = dict(_NO_STORE)
    if error.status == 401 and "authorization" in request.headers:
        headers["WWW-Authenticate"] = "Basic"
    if error.status == 503:
        headers["Retry-After"] = "30"
    body = {
        "error": error.error,
        "error_description": f"AADSTS{error.number}: {error.cause}",
        "error_codes": [error.number],
        "timestamp": f"{services.clock.now():%Y-%m-%d %H:%M:%SZ}",
        "trace_id": record.request_id,
        "correlation_id": record.client_request_id,
    }
    return Response(encode(body), status_code=error.status, media_type=JSON, headers=headers)
