"""Who is protected, who is taken, what is cleaned up (``graph.protection``, ``enforcement_scope``, ``clean_up``)."""

from __future__ import annotations

from typing import Final

from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.enrollment import Coverage, Reason, TagRule
from shieldwall.server.graph.schemas.resource import body, resource
from shieldwall.server.openapi.shapes import (
    COUNT,
    FLAG,
    ID,
    NUMBER,
    TEXT,
    Component,
    Schema,
    list_of,
    map_of,
    nullable,
    record,
    said,
    word,
)

PROTECTION_EFFECT: Final = Component(
    "ProtectionEffect",
    record(
        {
            "gained": COUNT,
            "lost": COUNT,
            "protected": COUNT,
            "devices": COUNT,
            "changeClass": word(ChangeClass),
        },
        meaning="How many devices are protected, and what the change did.",
    ),
)
TAMPER_PROTECTION: Final = resource(
    "TamperProtection",
    {
        "enabled": FLAG,
        "groups": list_of(record({"groupId": ID, "displayName": TEXT, "enabled": FLAG})),
        "excludedDevices": list_of(ID),
        "effect": PROTECTION_EFFECT,
    },
    key=None,
    meaning="Who is protected against tampering.",
)

_SCOPE: Final[dict[str, Schema]] = {
    "isAllowed": said(FLAG, "Whether devices are managed at all."),
    "windows": word(Coverage),
    "windowsServer": word(Coverage),
    "linux": word(Coverage),
    "macOS": word(Coverage),
    "includesDomainControllers": FLAG,
    "configurationManagerAuthority": FLAG,
    "dynamicTags": {"type": "array", "items": TagRule},
}
_MOVED: Final = Component(
    "MovedDevices",
    record(
        {
            "count": COUNT,
            "parts": list_of(
                record(
                    {
                        "operatingSystem": TEXT,
                        "count": COUNT,
                        "reason": word(Reason),
                        "enrollmentCode": NUMBER,
                        "cause": TEXT,
                        "samples": list_of(record({"id": ID, "deviceName": TEXT})),
                    }
                )
            ),
        }
    ),
)
SCOPE_EFFECT: Final = Component(
    "ScopeEffect",
    record(
        {"managedBefore": COUNT, "managedAfter": COUNT, "taken": _MOVED, "released": _MOVED},
        meaning="What a scope does to the devices.",
    ),
)
SCOPE: Final = resource(
    "EnforcementScope",
    {**_SCOPE, "effect": SCOPE_EFFECT},
    sometimes=["effect"],
    key=None,
    meaning="Which devices of the tenant may be managed.",
)
SCOPE_CHANGES: Final = body("EnforcementScopeChanges", _SCOPE)

CLEAN_UP_RULE: Final = resource(
    "ManagedDeviceCleanupRule",
    {
        "id": ID,
        "displayName": TEXT,
        "description": TEXT,
        "deviceCleanupRulePlatformType": word("all"),
        "deviceInactivityBeforeRetirementInDays": said(COUNT, "0: nobody is retired."),
        "shieldwall": record(
            {"removeRetiredAfterDays": nullable(COUNT), "historyDays": nullable(COUNT), "autoReplace": FLAG}
        ),
    },
    meaning="When silent devices retire, and how long what is left is kept.",
)
CLEAN_UP: Final = Component(
    "CleanUp",
    record(
        {
            "devicesReplaced": COUNT,
            "devicesRetired": COUNT,
            "devicesRemoved": COUNT,
            "rowsRemoved": map_of(COUNT),
        },
        meaning="What a rule would clean up now.",
    ),
)
