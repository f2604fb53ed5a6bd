"""Packages that let devices in and out, and whose TPMs are trusted (``graph.packages``, ``offboarding``)."""

from __future__ import annotations

from typing import Final, get_args

from shieldwall.contract.messages import Envelope
from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.inventory.packages import Approval, Attestation, JoinType, Platform
from shieldwall.server.openapi.shapes import (
    COUNT,
    ID,
    MOMENT,
    TEXT,
    list_of,
    map_of,
    nullable,
    said,
    word,
)

_PLATFORMS: Final = list_of(word(get_args(Platform)))
_PACKAGE: Final = {
    "id": ID,
    "displayName": TEXT,
    "notBeforeDateTime": MOMENT,
    "expirationDateTime": MOMENT,
    "maxUses": COUNT,
    "uses": COUNT,
    "allowedPlatforms": _PLATFORMS,
    "tags": list_of(TEXT),
    "approval": word(get_args(Approval)),
    "attestation": word(get_args(Attestation)),
    "joinType": word(get_args(JoinType)),
    "createdBy": TEXT,
    "createdDateTime": MOMENT,
    "revokedDateTime": nullable(MOMENT),
}
_FILE: Final = {"allOf": [Envelope], "description": "The file for the devices, given out this once."}
PACKAGE: Final = resource("OnboardingPackage", _PACKAGE, meaning="A file that lets devices in, without its secret.")
NEW_PACKAGE: Final = resource(
    "OnboardingPackageMade",
    {**_PACKAGE, "package": _FILE, "scripts": said(map_of(TEXT), "Files that onboard with the package, by name.")},
    sometimes=["scripts"],
)
_OFFBOARDING: Final = {
    "id": ID,
    "displayName": TEXT,
    "platforms": _PLATFORMS,
    "expirationDateTime": MOMENT,
    "createdDateTime": MOMENT,
    "createdBy": TEXT,
}
OFFBOARDING_PACKAGE: Final = resource("OffboardingPackage", _OFFBOARDING, meaning="A file that lets devices go.")
NEW_OFFBOARDING_PACKAGE: Final = resource("OffboardingPackageMade", {**_OFFBOARDING, "package": _FILE})
ENDORSEMENT: Final = resource(
    "Endorsement",
    {
        "id": ID,
        "displayName": TEXT,
        "kind": word("endorsementKey", "authority"),
        "endorsementKeyHash": nullable(TEXT),
        "certificate": nullable(TEXT),
        "subject": nullable(TEXT),
        "expirationDateTime": nullable(MOMENT),
        "createdDateTime": MOMENT,
    },
    meaning="A maker of TPMs, or a single TPM, that is trusted.",
)
