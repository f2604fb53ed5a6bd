"""Managed devices, and what is in effect on them (``graph.resources``, ``machine_shapes``, ``effect_shapes``)."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.contract.status import SettingState
from shieldwall.policy.enrollment import Reason
from shieldwall.policy.outcomes import Rule
from shieldwall.server.graph.managed_device_shapes import (
    ARCHITECTURES,
    DEVICE_TYPES,
    JOIN_TYPES,
    MANAGEMENT_STATES,
    OWNERS,
    REGISTRATION_STATES,
    ROOTED,
    UNKNOWN_IN_BETA,
    UNKNOWN_TEXTS,
)
from shieldwall.server.graph.schemas.resource import SCOPE_TAGS, resource
from shieldwall.server.openapi.shapes import (
    ANYTHING,
    COUNT,
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    NUMBER,
    TEXT,
    Component,
    Schema,
    list_of,
    map_of,
    nullable,
    record,
    said,
    text,
    word,
)
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState, Registration
from shieldwall.server.storage.inventory.inventory_queries import Health

ENROLLMENT: Final = Component(
    "Enrollment",
    record(
        {
            "code": {"type": "integer", "enum": [int(code) for code in EnrollmentCode]},
            "status": TEXT,
            "reason": word(Reason),
            "cause": TEXT,
            "remedy": TEXT,
        },
        meaning="Whether this channel manages a device, and why not.",
    ),
)
PROTECTION: Final = Component(
    "DeviceProtection",
    record({"tamperProtected": FLAG, "troubleshootingEndDateTime": nullable(MOMENT)}),
)
_STANDING: Final[dict[str, Schema | Component]] = {
    "registration": word(Registration),
    "deviceState": word(DeviceState),
    "deviceStateReason": nullable(TEXT),
    "state": said(word(SettingState), "The gravest state of its settings."),
    "upToDate": said(FLAG, "Whether it has what its policies say now."),
    "managedBy": TEXT,
    "enrollment": ENROLLMENT,
    "agentVersion": TEXT,
    "catalogVersion": TEXT,
    "keyProtection": TEXT,
    "attestationLevel": word(AttestationLevel),
    "providers": map_of(TEXT),
    "tags": list_of(TEXT),
}
_INVENTORY: Final[dict[str, Schema | Component]] = {
    "health": word(Health),
    "onboardingStatus": TEXT,
    "stateReason": nullable(TEXT),
    "lastSeenDateTime": nullable(MOMENT),
    "repairedSettings": COUNT,
    "driftedSettings": COUNT,
    "packageId": nullable(ID),
    "replaces": nullable(ID),
    "duplicates": list_of(record({"id": ID, "shares": list_of(TEXT)})),
}
_COMPARISON: Final = Component(
    "DeviceComparison",
    record(
        {
            "sameHardware": list_of(word("machineId", "smbiosUuid", "tpmEndorsementKey")),
            "state": word(DeviceState),
            "stateReason": nullable(TEXT),
            "registration": word(Registration),
            "trustType": nullable(TEXT),
            "attestationLevel": word(AttestationLevel),
            "packageId": nullable(ID),
            "registeredDateTime": MOMENT,
            "keyThumbprint": TEXT,
            "replaces": nullable(ID),
        }
    ),
)
_ACTION_RESULT: Final = Component(
    "DeviceActionResult",
    record(
        {
            "actionName": word("syncDevice", "retire"),
            "actionState": word("pending"),
            "startDateTime": nullable(MOMENT),
            "lastUpdatedDateTime": nullable(MOMENT),
        },
        meaning="What the device was asked to do and has not done yet.",
    ),
)
_OWNER: Final = word("unknown", OWNERS.values())
_BETA: Final[dict[str, Schema | Component]] = {
    "aadRegistered": FLAG,
    "autopilotEnrolled": FLAG,
    "azureActiveDirectoryDeviceId": ID,
    "chassisType": word("unknown"),
    "cloudPcRemoteActionResults": list_of(ANYTHING),
    "deviceType": word("unknown", sorted(set(DEVICE_TYPES.values()))),
    "joinType": word("unknown", JOIN_TYPES.values()),
    "lostModeState": word("disabled"),
    "managementFeatures": word("none"),
    "managementState": word("managed", sorted(set(MANAGEMENT_STATES.values()))),
    "ownerType": _OWNER,
    "processorArchitecture": word("unknown", sorted(set(ARCHITECTURES.values()))),
    "roleScopeTagIds": SCOPE_TAGS,
    "usersLoggedOn": list_of(ANYTHING),
    **dict.fromkeys(UNKNOWN_IN_BETA, NOTHING),
}
MANAGED_DEVICE: Final = resource(
    "ManagedDevice",
    {
        "id": ID,
        "deviceName": TEXT,
        "managedDeviceName": TEXT,
        "managementAgent": word("msSense"),
        "operatingSystem": TEXT,
        "osVersion": TEXT,
        "azureADDeviceId": ID,
        "azureADRegistered": FLAG,
        "deviceRegistrationState": word(sorted(set(REGISTRATION_STATES.values()))),
        "deviceEnrollmentType": word("unknown"),
        "complianceState": word("unknown"),
        "managedDeviceOwnerType": _OWNER,
        "enrolledDateTime": nullable(MOMENT),
        "lastSyncDateTime": nullable(MOMENT),
        "manufacturer": nullable(TEXT),
        "model": nullable(TEXT),
        "jailBroken": word(ROOTED.values()),
        "easActivated": FLAG,
        "exchangeAccessState": word("none"),
        "exchangeAccessStateReason": word("none"),
        "partnerReportedThreatState": word("unknown"),
        "deviceCategoryDisplayName": TEXT,
        "enrollmentProfileName": nullable(TEXT),
        "managementCertificateExpirationDate": nullable(MOMENT),
        "notes": nullable(TEXT),
        "deviceActionResults": list_of(_ACTION_RESULT),
        **dict.fromkeys(UNKNOWN_TEXTS, NOTHING),
        **_BETA,
        "shieldwall": record(
            {**_STANDING, **_INVENTORY, "protection": PROTECTION}, optional=[*_INVENTORY, "protection"]
        ),
        "comparison": _COMPARISON,
    },
    sometimes=["comparison", *_BETA],
    meaning="A device as the manager sees it. What Graph has in beta alone is there under `/beta` alone.",
)
_ITEM: Final = record(
    {"item": TEXT, "state": word(SettingState), "code": TEXT, "reason": TEXT}, optional=["code", "reason"]
)
_POLICY_ID: Final = said(nullable(ID), "Null where the policy is outside the scope of whoever asks.")
_CONTENDER: Final = Component(
    "Contender",
    record(
        {
            "id": _POLICY_ID,
            "name": TEXT,
            "revision": COUNT,
            "value": said(TEXT, "What it wants, in words."),
            "priority": nullable(NUMBER),
            "modifiedDateTime": nullable(MOMENT),
            "broughtBy": list_of(
                {
                    "anyOf": [
                        record({"allDevices": {"const": True}}),
                        record({"groupId": ID, "displayName": TEXT}),
                    ]
                }
            ),
            "won": FLAG,
        },
        meaning="A policy that sets a setting.",
    ),
)
EFFECTIVE_SETTING: Final = resource(
    "EffectiveSetting",
    {
        "settingDefinitionId": TEXT,
        "displayName": TEXT,
        "value": nullable(TEXT),
        "displayValue": TEXT,
        "state": word(SettingState),
        "rule": word(Rule),
        "explanation": text("Why it comes out as it does."),
        "decidedDateTime": nullable(MOMENT),
        "policies": list_of(_CONTENDER),
        "losers": list_of(record({"id": _POLICY_ID, "name": TEXT})),
        "provider": nullable(TEXT),
        "code": nullable(TEXT),
        "reason": nullable(TEXT),
        "written": FLAG,
        "readBack": said(ANYTHING, "The value that the device found afterwards."),
        "effective": said(nullable(FLAG), "What a probe of the running component said; null where there is none."),
        "items": list_of(_ITEM),
    },
    key=None,
    meaning="What is in effect for one setting on a device, who set it and why.",
)
ORGANIZATION: Final = resource(
    "Organization",
    {
        "id": ID,
        "displayName": TEXT,
        "createdDateTime": MOMENT,
        "verifiedDomains": list_of(record({"name": TEXT, "isDefault": FLAG, "isInitial": FLAG, "type": TEXT})),
    },
    meaning="The tenant.",
)
