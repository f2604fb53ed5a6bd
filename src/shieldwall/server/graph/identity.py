"""The identity platform's end points: discovery, keys, tokens."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from litestar import Response, get, post

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.server.authorization import PUBLIC
from shieldwall.server.directory import apps
from shieldwall.server.graph.requests import JSON, GraphRequest, answer
from shieldwall.server.graph.tokens import LIFETIME, TokenIssuer, TokenRequestError
from shieldwall.server.services import AdminServices

_FORM: Final = "application/x-www-form-urlencoded"
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@get("/{tenant:str}/v2.0/.well-known/openid-configuration", opt=PUBLIC, sync_to_thread=False)
def discovery(services: AdminServices, tenant: str) -> Response[bytes]:
    """Describe this issuer (OpenID Connect Discovery 1.0)."""
    issuer = issuer_of(services)
    if not issuer.names_tenant(tenant):
        return _refusal(TokenRequestError("invalid_tenant", f"Tenant {tenant[:64]!r} was not found.", number=90002))
    base = f"{issuer.public_url}/{issuer.tenant_id}"
    return answer(
        {
            "issuer": issuer.issuer,
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
            "claims_supported": ["aud", "iss", "iat", "exp", "nbf", "oid", "sub", "tid", "ver", "roles", "appid"],
            "tenant_region_scope": None,
        }
    )


@get("/{tenant:str}/discovery/v2.0/keys", opt=PUBLIC, sync_to_thread=True)
def keys(services: AdminServices, tenant: str) -> Response[bytes]:
    """Publish the keys that sign tokens (RFC 7517)."""
    issuer = issuer_of(services)
    if not issuer.names_tenant(tenant):
        return _refusal(TokenRequestError("invalid_tenant", f"Tenant {tenant[:64]!r} was not found.", number=90002))
    return answer(services.signer.jwks())


@post("/{tenant:str}/oauth2/v2.0/token", opt=PUBLIC, sync_to_thread=True)
def token(services: AdminServices, request: GraphRequest, tenant: str, body: bytes) -> Response[bytes]:
    """Issue an access token to an application that knows its secret (RFC 6749 section 4.4)."""
    try:
        return Response(
            encode(_issue(services, request, tenant, body)), status_code=200, media_type=JSON, headers=_NO_STORE
        )
    except TokenRequestError as error:
        return _refusal(error)


def issuer_of(services: AdminServices) -> TokenIssuer:
    """Say what this server puts into its tokens."""
    return TokenIssuer(
        tenant_id=services.tenant.id,
        tenant_domain=services.tenant.domain,
        public_url=services.settings.public_url,
    )


def _issue(services: AdminServices, request: GraphRequest, tenant: str, body: bytes) -> dict[str, Any]:
    issuer = issuer_of(services)
    if not issuer.names_tenant(tenant):
        raise TokenRequestError("invalid_tenant", f"Tenant {tenant[:64]!r} was not found.", number=90002)
    form = _form(request, body)
    if form.get("grant_type") != "client_credentials":
        raise TokenRequestError(
            "unsupported_grant_type", "Only the grant type client_credentials is offered.", number=70003
        )
    audience = issuer.audience_of(form.get("scope", ""))
    now = services.clock.now()
    with services.database.read() as connection:
        try:
            app = apps.authenticate_app(connection, form.get("client_id", ""), form.get("client_secret", ""), now=now)
        except ShieldwallError:
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


def _form(request: GraphRequest, body: bytes) -> dict[str, str]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != _FORM:
        raise TokenRequestError("invalid_request", f"The body must be {_FORM}.", number=900144)
    try:
        pairs = parse_qsl(body.decode("ascii"), strict_parsing=True, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise TokenRequestError("invalid_request", "The body is not a well-formed form.", number=900144) from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise TokenRequestError("invalid_request", "A field stands twice.", number=900144)
    return form


def _refusal(error: TokenRequestError) -> Response[bytes]:
    body = {
        "error": error.error,
        "error_description": f"AADSTS{error.number}: {error.cause}",
        "error_codes": [error.number],
    }
    return Response(encode(body), status_code=error.status, media_type=JSON, headers=_NO_STORE)
