"""People and what they sign in with (``graph.user_shapes``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.schemas.directory import DEVICE
from shieldwall.server.graph.schemas.resource import body, resource
from shieldwall.server.openapi.shapes import (
    COUNT,
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    TEXT,
    Component,
    nullable,
    read_only,
    record,
    said,
    text,
)

USER: Final = resource(
    "User",
    {
        "id": read_only(ID),
        "userPrincipalName": TEXT,
        "displayName": TEXT,
        "accountEnabled": FLAG,
        "userType": {"const": "Member"},
        "mail": NOTHING,
        "createdDateTime": read_only(MOMENT),
        "signInActivity": read_only(record({"lastSignInDateTime": nullable(MOMENT)})),
        "signInSessionsValidFromDateTime": read_only(MOMENT),
    },
    meaning="Somebody who administers the tenant.",
)
MEMBER: Final = Component("GroupMember", {"anyOf": [DEVICE, USER]})
"""Whatever belongs to a group."""
NEW_USER: Final = body(
    "NewUser",
    {
        "userPrincipalName": text("Unique in the tenant, such as `ada@example.org`.", minLength=3, maxLength=255),
        "displayName": text(minLength=1, maxLength=256),
        "accountEnabled": FLAG,
    },
    required=["userPrincipalName", "displayName"],
    texts_passed_over=["mailNickname", "userType"],
    meaning="There are no passwords: a `passwordProfile` is refused. A one-time code lets the person in.",
)
USER_CHANGES: Final = body(
    "UserChanges",
    {"displayName": text(minLength=1, maxLength=256), "accountEnabled": FLAG},
)
PASSKEY: Final = resource(
    "Fido2AuthenticationMethod",
    {
        "id": read_only(TEXT),
        "displayName": TEXT,
        "createdDateTime": read_only(MOMENT),
        "lastUsedDateTime": read_only(nullable(MOMENT)),
        "aaGuid": read_only(TEXT),
        "model": NOTHING,
        "attestationLevel": {"const": "notAttested"},
        "passkeyType": read_only(said(TEXT, "`synced` where it lives in more than one place, else `deviceBound`.")),
    },
    meaning="A passkey of a person.",
)
ONE_TIME_CODE: Final = resource(
    "TemporaryAccessPassAuthenticationMethod",
    {
        "id": read_only(TEXT),
        "temporaryAccessPass": read_only(nullable(said(TEXT, "The code; shown once, when it is made."))),
        "createdDateTime": read_only(MOMENT),
        "startDateTime": read_only(MOMENT),
        "lifetimeInMinutes": COUNT,
        "isUsableOnce": {"const": True},
        "isUsable": FLAG,
        "methodUsabilityReason": TEXT,
        "signInUrl": read_only(nullable(said(TEXT, "Where the code signs in; ours."))),
    },
    meaning="A one-time code: the way in for somebody who has no other.",
)
NEW_CODE: Final = body(
    "NewTemporaryAccessPass",
    {"lifetimeInMinutes": {"const": 15}, "isUsableOnce": {"const": True}},
    texts_passed_over=["startDateTime"],
)
