"""The account, how far devices are, and the connector (``graph.device_management``, ``onboarding_summary``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.openapi.shapes import (
    COUNT,
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    TEXT,
    Schema,
    map_of,
    nullable,
    said,
    word,
)

_SETTINGS: Final[dict[str, Schema]] = {
    "deviceComplianceCheckinThresholdDays": COUNT,
    "deviceInactivityBeforeRetirementInDay": said(COUNT, "0: nobody is retired."),
    "isScheduledActionEnabled": FLAG,
    "secureByDefault": FLAG,
    "enhancedJailBreak": FLAG,
    "ignoreDevicesForUnsupportedSettingsEnabled": FLAG,
    "androidDeviceAdministratorEnrollmentEnabled": FLAG,
    "derivedCredentialProvider": word("notConfigured"),
    "derivedCredentialUrl": NOTHING,
}
ACCOUNT_SETTINGS: Final = resource("DeviceManagementSettings", _SETTINGS, key=None, meaning="What is so in all of it.")
ACCOUNT: Final = resource(
    "DeviceManagement",
    {
        "id": ID,
        "intuneAccountId": ID,
        "accountMoveCompletionDateTime": NOTHING,
        "subscriptionState": word("active"),
        "subscriptions": word("none"),
        "settings": ACCOUNT_SETTINGS,
    },
    meaning="The account.",
)
OVERVIEW: Final = resource(
    "ManagedDeviceOverview",
    {
        "id": ID,
        "enrolledDeviceCount": COUNT,
        "mdmEnrolledCount": COUNT,
        "dualEnrolledDeviceCount": COUNT,
        "deviceOperatingSystemSummary": map_of(COUNT),
        "deviceExchangeAccessStateSummary": map_of(COUNT),
        "managedDeviceModelsAndManufacturers": NOTHING,
        "lastModifiedDateTime": MOMENT,
    },
    meaning="Managed devices by operating system.",
)
_STATES: Final = (
    "unknown",
    "notApplicable",
    "compliant",
    "remediated",
    "nonCompliant",
    "error",
    "conflict",
    "notAssigned",
)
ONBOARDING_SUMMARY: Final = resource(
    "OnboardingStateSummary",
    {"id": ID, **{f"{state}DeviceCount": COUNT for state in _STATES}},
    meaning="How many devices are how far with onboarding.",
)
ONBOARDING_STATE: Final = resource(
    "OnboardingDeviceState",
    {
        "id": ID,
        "deviceId": ID,
        "deviceName": TEXT,
        "deviceModel": nullable(TEXT),
        "platformType": word("windows10AndLater", "macOS", "unknown"),
        "setting": TEXT,
        "settingName": TEXT,
        "state": word(_STATES),
        "complianceGracePeriodExpirationDateTime": NOTHING,
        "userId": NOTHING,
        "userEmail": NOTHING,
        "userName": NOTHING,
        "userPrincipalName": NOTHING,
    },
    meaning="How far one device is with onboarding.",
)


def connector(never: tuple[str, ...]) -> dict[str, Schema]:
    """The members of a connector; those of ``never`` are switches of what is not done here."""
    return {
        "id": ID,
        "partnerState": word("available", "notSetUp", "unresponsive", "enabled"),
        "lastHeartbeatDateTime": nullable(MOMENT),
        "microsoftDefenderForEndpointAttachEnabled": said(FLAG, "Whether devices are managed at all."),
        "windowsEnabled": FLAG,
        "macEnabled": FLAG,
        "partnerUnresponsivenessThresholdInDays": COUNT,
        **{name: {"const": False} for name in never},
    }
