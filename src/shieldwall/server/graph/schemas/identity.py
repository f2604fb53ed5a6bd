"""The identity platform: discovery, keys and tokens (OpenID Connect Discovery 1.0, RFC 7517, RFC 6749)."""

from __future__ import annotations

from typing import Any, Final

from shieldwall.server.graph.schemas.paths import PARAMETERS
from shieldwall.server.openapi.description import JSON, Answer, Body, Description, FrontDoor, described
from shieldwall.server.openapi.shapes import (
    ADDRESS,
    COUNT,
    NOTHING,
    NUMBER,
    TEXT,
    Component,
    list_of,
    open_record,
    record,
    said,
    text,
    word,
)

OAUTH_ERROR: Final = Component(
    "OAuthError",
    record(
        {
            "error": text("The code of RFC 6749, such as `invalid_client`."),
            "error_description": TEXT,
            "error_codes": list_of(NUMBER),
            "timestamp": text("When it happened, in UTC.", pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$"),
            "trace_id": said(TEXT, "The id of the request."),
            "correlation_id": said(TEXT, "The client's own id of it."),
        },
        meaning="Why the identity platform refuses.",
    ),
)
IDENTITY: Final = FrontDoor(
    name="Identity",
    error=OAUTH_ERROR,
    error_type=JSON,
    always=frozenset({400, 408, 413, 421, 503}),
    group_of=lambda _: "identity platform",
    parameters=PARAMETERS,
)
DISCOVERY: Final = Component(
    "OpenIdConfiguration",
    record(
        {
            "issuer": ADDRESS,
            "authorization_endpoint": ADDRESS,
            "token_endpoint": ADDRESS,
            "jwks_uri": ADDRESS,
            "token_endpoint_auth_methods_supported": list_of(TEXT),
            "grant_types_supported": list_of(TEXT),
            "response_types_supported": list_of(TEXT),
            "subject_types_supported": list_of(TEXT),
            "id_token_signing_alg_values_supported": list_of(TEXT),
            "scopes_supported": list_of(TEXT),
            "claims_supported": list_of(TEXT),
            "tenant_region_scope": NOTHING,
        }
    ),
)
KEYS: Final = Component(
    "JsonWebKeySet",
    record({"keys": list_of(open_record({"kty": TEXT, "kid": TEXT, "n": TEXT, "e": TEXT}, required=["kty", "kid"]))}),
)
TOKEN: Final = Component(
    "AccessToken",
    record(
        {"token_type": word("Bearer"), "expires_in": COUNT, "ext_expires_in": COUNT, "access_token": TEXT},
    ),
)
TOKEN_REQUEST: Final = Body(
    schema=Component(
        "TokenRequest",
        open_record(
            {
                "grant_type": word("client_credentials"),
                "client_id": TEXT,
                "client_secret": said(TEXT, "Here or in the header Authorization (Basic), not in both."),
                "scope": said(TEXT, "`.default` of a resource, such as `https://graph.microsoft.com/.default`."),
                "resource": said(TEXT, "What older clients say in the place of `scope`."),
            },
            required=["grant_type"],
        ),
    ),
    media_type="application/x-www-form-urlencoded",
)


def says(item: Component, *, takes: Body | None = None, fails: frozenset[int] = frozenset()) -> dict[str, Any]:
    """Describe an end point of the identity platform."""
    answer = Answer(status=200, meaning="What was asked for.", content={JSON: item})
    return described(Description(door=IDENTITY, answers=(answer,), takes=takes, fails=fails))


def refuses() -> dict[str, Any]:
    """Describe an end point that is there because discovery has to name it."""
    return described(Description(door=IDENTITY, answers=()))
