"""Identity providers (``graph.identity_providers``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.directory.federation import Admission, ProviderSettings
from shieldwall.server.graph.schemas.resource import body, resource
from shieldwall.server.openapi.shapes import (
    ADDRESS,
    COUNT,
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    TEXT,
    list_of,
    map_of,
    nullable,
    open_record,
    read_only,
    said,
    text,
    word,
)

_WORD: Final = text(minLength=1, maxLength=256)
_SETTINGS: Final = open_record(
    {
        "scope": said(TEXT, "What is asked for; `openid` is among it."),
        "nameClaim": said(TEXT, "The claim with the name by which somebody was invited."),
        "groupClaim": said(TEXT, "The claim with the ids of somebody's groups."),
        "admission": said(word(Admission), "Who comes in for the first time."),
        "groupMappings": said(map_of(ID), "From ids of groups there to ids of groups here."),
        "requiredAcr": said(list_of(_WORD), "One of these has to be `acr`."),
        "requiredAmr": said(list_of(_WORD), "One of these has to be among `amr`."),
        "maxAgeSeconds": nullable(said(COUNT, "How long ago somebody may have shown who they are there.")),
    }
) | {"additionalProperties": False}
IDENTITY_PROVIDER: Final = resource(
    "OidcIdentityProvider",
    {
        "id": read_only(ID),
        "displayName": TEXT,
        "issuer": ADDRESS,
        "clientId": TEXT,
        "clientSecret": said(NOTHING, "Never shown."),
        "hasClientSecret": read_only(FLAG),
        "isEnabled": FLAG,
        "settings": _SETTINGS,
        "createdDateTime": read_only(MOMENT),
        "modifiedDateTime": read_only(MOMENT),
    },
    meaning="An OpenID provider at which people of the tenant may sign in.",
)
_SENT: Final = {
    "displayName": text(minLength=1, maxLength=256),
    "clientId": text(minLength=1, maxLength=2_048),
    "clientSecret": text("Empty where we are a public client there.", maxLength=2_048),
    "isEnabled": FLAG,
    "settings": {"allOf": [ProviderSettings]},
}
NEW_IDENTITY_PROVIDER: Final = body(
    "NewOidcIdentityProvider",
    {**_SENT, "issuer": said(ADDRESS, "Exactly as the provider calls itself.")},
    required=["displayName", "issuer", "clientId"],
)
IDENTITY_PROVIDER_CHANGES: Final = body("OidcIdentityProviderChanges", _SENT)
