"""How the identity platform describes itself (OpenID Connect Discovery 1.0, RFC 7517, RFC 6749, RFC 7009, RFC 8628)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from shieldwall.server.openapi.description import JSON, Answer, Body, Description, FrontDoor, Parameter, described
from shieldwall.server.openapi.shapes import (
    ADDRESS,
    COUNT,
    FLAG,
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

_FORM: Final = "application/x-www-form-urlencoded"
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
            "suberror": said(TEXT, "Why a person has to do something, where one has to."),
            "claims": said(TEXT, "What the next request has to ask for, as JSON."),
        },
        optional=["suberror", "claims"],
        meaning="Why the identity platform refuses.",
    ),
)
IDENTITY: Final = FrontDoor(
    name="Identity",
    error=OAUTH_ERROR,
    error_type=JSON,
    always=frozenset({400, 408, 413, 421, 503}),
    group_of=lambda _: "identity platform",
    parameters={"tenant": text("The id of the tenant, or its domain.")},
)
DISCOVERY: Final = Component(
    "OpenIdConfiguration",
    record(
        {
            "issuer": ADDRESS,
            "authorization_endpoint": ADDRESS,
            "token_endpoint": ADDRESS,
            "revocation_endpoint": ADDRESS,
            "jwks_uri": ADDRESS,
            "userinfo_endpoint": ADDRESS,
            "device_authorization_endpoint": said(ADDRESS, "Only where the server's settings switch it on."),
            "token_endpoint_auth_methods_supported": list_of(TEXT),
            "token_endpoint_auth_signing_alg_values_supported": list_of(TEXT),
            "grant_types_supported": list_of(TEXT),
            "response_types_supported": list_of(TEXT),
            "response_modes_supported": list_of(TEXT),
            "code_challenge_methods_supported": list_of(TEXT),
            "authorization_response_iss_parameter_supported": FLAG,
            "request_uri_parameter_supported": FLAG,
            "request_parameter_supported": FLAG,
            "prompt_values_supported": list_of(TEXT),
            "subject_types_supported": list_of(TEXT),
            "id_token_signing_alg_values_supported": list_of(TEXT),
            "dpop_signing_alg_values_supported": list_of(TEXT),
            "scopes_supported": list_of(TEXT),
            "claims_supported": list_of(TEXT),
            "tenant_region_scope": NOTHING,
            "cloud_instance_name": TEXT,
        },
        optional=["device_authorization_endpoint"],
    ),
)
INSTANCE: Final = Component(
    "AuthorityInstance",
    record(
        {
            "tenant_discovery_endpoint": ADDRESS,
            "api-version": TEXT,
            "metadata": list_of(record({"preferred_network": TEXT, "preferred_cache": TEXT, "aliases": list_of(TEXT)})),
        }
    ),
)
KEYS: Final = Component(
    "JsonWebKeySet",
    record({"keys": list_of(open_record({"kty": TEXT, "kid": TEXT, "n": TEXT, "e": TEXT}, required=["kty", "kid"]))}),
)
_TOKEN: Final = {"token_type": word("Bearer", "DPoP"), "access_token": TEXT}
_PERSON: Final = {
    "scope": said(TEXT, "What was granted; of people alone, like all that follows."),
    "refresh_token": said(TEXT, "Good once; with the scope `offline_access`."),
    "id_token": said(TEXT, "Who signed in; with the scope `openid`."),
    "client_info": said(TEXT, "What Microsoft's libraries know an account by; where they ask for it."),
}
TOKEN: Final = Component(
    "AccessToken",
    record({**_TOKEN, "expires_in": COUNT, "ext_expires_in": COUNT, **_PERSON}, optional=_PERSON),
)
TOKEN_OF_VERSION_1: Final = Component(
    "AccessTokenOfVersion1",
    record(
        {
            **_TOKEN,
            **dict.fromkeys(("expires_in", "ext_expires_in", "expires_on", "not_before", "resource"), TEXT),
            **_PERSON,
        },
        optional=_PERSON,
    ),
)
_CLIENT: Final = {
    "client_id": TEXT,
    "client_secret": said(TEXT, "Here or in the header Authorization (Basic), not in both."),
    "client_assertion": said(TEXT, "A statement signed with the key of a certificate of the application (RFC 7523)."),
    "client_assertion_type": TEXT,
}
TOKEN_REQUEST: Final = Body(
    schema=Component(
        "TokenRequest",
        open_record(
            {
                "grant_type": word(
                    "client_credentials",
                    "authorization_code",
                    "refresh_token",
                    "urn:ietf:params:oauth:grant-type:device_code",
                ),
                **_CLIENT,
                "scope": said(TEXT, "`.default` of a resource, such as `https://graph.microsoft.com/.default`."),
                "resource": said(TEXT, "What older clients say in the place of `scope`."),
                "code": TEXT,
                "code_verifier": TEXT,
                "redirect_uri": TEXT,
                "refresh_token": TEXT,
                "device_code": TEXT,
            },
            required=["grant_type"],
        ),
    ),
    media_type=_FORM,
)
REVOCATION: Final = Body(
    schema=Component("RevocationRequest", open_record({"token": TEXT, **_CLIENT}, required=["token"])),
    media_type=_FORM,
)
DEVICE_CODE_REQUEST: Final = Body(
    schema=Component("DeviceCodeRequest", open_record({"client_id": TEXT, "scope": TEXT}, required=["client_id"])),
    media_type=_FORM,
)
DEVICE_CODE: Final = Component(
    "DeviceCode",
    record(
        {
            "user_code": TEXT,
            "device_code": TEXT,
            "verification_uri": ADDRESS,
            "verification_url": ADDRESS,
            "expires_in": COUNT,
            "interval": COUNT,
            "message": TEXT,
        }
    ),
)
USER_INFO: Final = Component(
    "UserInfo",
    record(
        {"sub": TEXT, "oid": TEXT, "name": TEXT, "preferred_username": TEXT, "email": TEXT},
        optional=["name", "preferred_username", "email"],
    ),
)
AUTHORIZATION_ENDPOINT: Final = Parameter(
    name="authorization_endpoint",
    place="query",
    meaning="The authority that a library was given.",
    schema={"type": "string"},
)

PROOF: Final = Parameter(
    name="DPoP",
    place="header",
    meaning="A proof that the client holds a key, to which the tokens are then bound (RFC 9449).",
    schema={"type": "string"},
)


def says(
    item: Component, *, takes: Body | None = None, asks: Iterable[Parameter] = (), fails: Iterable[int] = ()
) -> dict[str, Any]:
    """Describe an end point of the identity platform."""
    answer = Answer(status=200, meaning="What was asked for.", content={JSON: item})
    description = Description(door=IDENTITY, answers=(answer,), takes=takes, asks=tuple(asks), fails=frozenset(fails))
    return described(description)


def forgets(*, takes: Body, fails: Iterable[int]) -> dict[str, Any]:
    """Describe an end point that answers with nothing."""
    answer = Answer(status=200, meaning="It is not good any more.")
    return described(Description(door=IDENTITY, answers=(answer,), takes=takes, fails=frozenset(fails)))
