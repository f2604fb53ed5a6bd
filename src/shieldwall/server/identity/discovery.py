"""What clients read first: where everything is, what is offered, and the keys that verify tokens."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.authorization import PUBLIC
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.possession_keys import ALGORITHMS
from shieldwall.server.identity.describing import AUTHORIZATION_ENDPOINT, DISCOVERY, INSTANCE, KEYS, says
from shieldwall.server.identity.errors import IdentityRequest, TokenRequestError
from shieldwall.server.identity.requests import Services, answer, issuer_for

_ALGORITHMS: Final = ["RS256", "PS256", "ES256"]


@get(
    ["/{tenant:str}/v2.0/.well-known/openid-configuration", "/{tenant:str}/.well-known/openid-configuration"],
    opt={**PUBLIC, **says(DISCOVERY)},
    sync_to_thread=False,
)
def discovery(services: Services, request: IdentityRequest, tenant: FromPath[str]) -> Response[bytes]:
    """Describe this issuer (OpenID Connect Discovery 1.0, RFC 8414)."""
    version = "" if "/v2.0/" in request.scope["path"] else "1"
    return answer(_configuration(services, tenant, is_first_version=bool(version)))


@get("/{tenant:str}/discovery/v2.0/keys", opt={**PUBLIC, **says(KEYS)}, sync_to_thread=True)
def keys(services: Services, tenant: FromPath[str]) -> Response[bytes]:
    """Publish the keys of tokens: of those made now, those to come, and those that still last (RFC 7517)."""
    return _keys(services, tenant)


@get("/{tenant:str}/discovery/keys", opt={**PUBLIC, **says(KEYS)}, sync_to_thread=True)
def keys_of_version_1(services: Services, tenant: FromPath[str]) -> Response[bytes]:
    """Publish the same keys where older clients look."""
    return _keys(services, tenant)


@get(
    "/{tenant:str}/discovery/instance",
    opt={**PUBLIC, **says(INSTANCE, asks=(AUTHORIZATION_ENDPOINT,))},
    sync_to_thread=True,
)
def instance(services: Services, request: IdentityRequest) -> Response[bytes]:
    """Tell a library that the address it was given is an identity platform, and its own only name."""
    asked = urlsplit(str(request.query_params.get("authorization_endpoint", "")))
    name = asked.path.strip("/").split("/")[0]
    tenant = services.tenancy.named(name) if name else None
    if tenant is None:
        raise TokenRequestError("invalid_instance", "There is no such authority here.", number=50049)
    host = urlsplit(services.settings.public_url).netloc
    return answer(
        {
            "tenant_discovery_endpoint": (
                f"{services.settings.public_url}/{tenant.id}/v2.0/.well-known/openid-configuration"
            ),
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (discovery, keys, keys_of_version_1, instance)


def _keys(services: AdminServices, tenant: str) -> Response[bytes]:
    issuer_for(services, tenant)
    return answer(services.signer.jwks())


def _configuration(services: AdminServices, tenant: str, *, is_first_version: bool) -> dict[str, Any]:
    issuer = issuer_for(services, tenant)
    base = f"{issuer.public_url}/{issuer.tenant_id}"
    oauth = f"{base}/oauth2" if is_first_version else f"{base}/oauth2/v2.0"
    keys_uri = f"{base}/discovery/keys" if is_first_version else f"{base}/discovery/v2.0/keys"
    grants = ["client_credentials", "authorization_code", "refresh_token"]
    device: dict[str, str] = {}
    if services.settings.identity.device_code:
        grants.append("urn:ietf:params:oauth:grant-type:device_code")
        device["device_authorization_endpoint"] = f"{base}/oauth2/v2.0/devicecode"
    return {
        "issuer": issuer.issuer,
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{oauth}/token",
        "revocation_endpoint": f"{base}/oauth2/v2.0/revoke",
        "jwks_uri": keys_uri,
        "userinfo_endpoint": f"{issuer.public_url}/oidc/userinfo",
        **device,
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": _ALGORITHMS,
        "grant_types_supported": grants,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "request_uri_parameter_supported": False,
        "request_parameter_supported": False,
        "prompt_values_supported": ["none", "login", "select_account", "consent"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "claims_supported": [
            "aud",
            "iss",
            "iat",
            "exp",
            "nbf",
            "oid",
            "sub",
            "tid",
            "ver",
            "nonce",
            "auth_time",
            "amr",
            "name",
            "preferred_username",
            "email",
        ],
        "tenant_region_scope": None,
        "cloud_instance_name": urlsplit(issuer.public_url).hostname,
    }
