"""Applications, and those whom tokens speak for (``graph.application_shapes``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.schemas.resource import body, resource
from shieldwall.server.openapi.shapes import (
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    TEXT,
    Component,
    list_of,
    nullable,
    read_only,
    record,
    said,
    text,
    word,
)

_REDIRECTS: Final = record({"redirectUris": list_of(text("`https://…`, or `http://localhost` for programs."))})
_ACCESS: Final = list_of(
    record(
        {
            "resourceAppId": word("00000003-0000-0000-c000-000000000000"),
            "resourceAccess": list_of(record({"id": ID, "type": word("Role", "Scope")})),
        }
    )
)
PASSWORD: Final = Component(
    "PasswordCredential",
    record(
        {
            "keyId": ID,
            "displayName": TEXT,
            "hint": said(TEXT, "How the secret begins."),
            "startDateTime": MOMENT,
            "endDateTime": MOMENT,
            "secretText": said(nullable(TEXT), "The secret, in the answer to its making alone."),
            "customKeyIdentifier": NOTHING,
        }
    ),
)
_KEY: Final = record(
    {
        "keyId": ID,
        "displayName": TEXT,
        "type": word("AsymmetricX509Cert"),
        "usage": word("Verify"),
        "startDateTime": MOMENT,
        "endDateTime": MOMENT,
        "customKeyIdentifier": said(TEXT, "The SHA-1 of the certificate, in base64."),
        "key": NOTHING,
    }
)
APPLICATION: Final = resource(
    "Application",
    {
        "id": read_only(ID),
        "appId": read_only(said(ID, "By what it asks for tokens: the client id.")),
        "displayName": TEXT,
        "createdDateTime": read_only(MOMENT),
        "signInAudience": word("AzureADMyOrg"),
        "publisherDomain": read_only(TEXT),
        "identifierUris": list_of(TEXT),
        "isFallbackPublicClient": said(FLAG, "Whether it runs where no secret can be kept."),
        "publicClient": _REDIRECTS,
        "web": _REDIRECTS,
        "requiredResourceAccess": said(_ACCESS, "What it has: there is no consent beside."),
        "passwordCredentials": read_only(list_of(PASSWORD)),
        "keyCredentials": list_of(_KEY),
        "shieldwall": record(
            {
                "permissions": said(list_of(TEXT), "Its own permissions, by name."),
                "delegatedPermissions": said(list_of(TEXT), "What it may use for people who sign in to it."),
                "enabled": FLAG,
                "requiresProof": said(FLAG, "Whether it gets no token that is not bound to a key of its own."),
                "tokensValidFromDateTime": said(MOMENT, "Tokens made before are worth nothing."),
                "isFirstParty": said(FLAG, "Whether it is our own command line."),
            }
        ),
    },
    meaning="A program that asks for tokens.",
)
_CHANGES: Final = {
    "displayName": text(minLength=1, maxLength=256),
    "signInAudience": word("AzureADMyOrg"),
    "isFallbackPublicClient": FLAG,
    "publicClient": _REDIRECTS,
    "web": _REDIRECTS,
    "requiredResourceAccess": _ACCESS,
    "keyCredentials": list_of(
        record(
            {
                "keyId": ID,
                "key": said(TEXT, "A certificate to add: base64 of its DER."),
                "displayName": TEXT,
                "type": word("AsymmetricX509Cert"),
                "usage": word("Verify"),
                "customKeyIdentifier": TEXT,
                "startDateTime": TEXT,
                "endDateTime": TEXT,
            },
            optional=[
                "keyId",
                "key",
                "displayName",
                "type",
                "usage",
                "customKeyIdentifier",
                "startDateTime",
                "endDateTime",
            ],
        )
    ),
    "shieldwall": record(
        {"permissions": list_of(TEXT), "delegatedPermissions": list_of(TEXT), "enabled": FLAG, "requiresProof": FLAG},
        optional=["permissions", "delegatedPermissions", "enabled", "requiresProof"],
    ),
}
NEW_APPLICATION: Final = body("NewApplication", _CHANGES, required=["displayName"])
APPLICATION_CHANGES: Final = body("ApplicationChanges", _CHANGES)
ADD_PASSWORD: Final = body(
    "AddPassword",
    {
        "passwordCredential": record(
            {"displayName": TEXT, "startDateTime": MOMENT, "endDateTime": MOMENT},
            optional=["displayName", "startDateTime", "endDateTime"],
        )
    },
)
REMOVE_PASSWORD: Final = body("RemovePassword", {"keyId": ID}, required=["keyId"])
_PERMISSION: Final = {"id": ID, "value": TEXT, "isEnabled": FLAG}
SERVICE_PRINCIPAL: Final = resource(
    "ServicePrincipal",
    {
        "id": said(ID, "Whom tokens speak for: their `oid`."),
        "appId": ID,
        "displayName": TEXT,
        "appDisplayName": TEXT,
        "accountEnabled": FLAG,
        "servicePrincipalType": word("Application"),
        "appOwnerOrganizationId": ID,
        "servicePrincipalNames": list_of(TEXT),
        "signInAudience": word("AzureADMyOrg"),
        "appRoles": list_of(
            record({**_PERMISSION, "displayName": TEXT, "description": TEXT, "allowedMemberTypes": list_of(TEXT)})
        ),
        "oauth2PermissionScopes": list_of(
            record(
                {**_PERMISSION, "type": word("Admin"), "adminConsentDisplayName": TEXT, "adminConsentDescription": TEXT}
            )
        ),
    },
    meaning="An application as the one whom tokens speak for; one more stands for our API and its permissions.",
)
APP_ROLE_ASSIGNMENT: Final = resource(
    "AppRoleAssignment",
    {
        "id": ID,
        "principalId": ID,
        "principalType": word("ServicePrincipal"),
        "principalDisplayName": TEXT,
        "resourceId": ID,
        "resourceDisplayName": TEXT,
        "appRoleId": ID,
        "createdDateTime": MOMENT,
    },
    meaning="A permission that an application has of its own.",
)
SIGN_INS_ENDED: Final = Component("SignInsEnded", record({"@odata.context": TEXT, "value": FLAG}))
