"""Alerts, and tenants side by side (``graph.alerts``, ``graph.managed_tenants``)."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.events import EventSeverity
from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.openapi.shapes import (
    ADDRESS,
    ANYTHING,
    COUNT,
    ID,
    MOMENT,
    NUMBER,
    TEXT,
    constant,
    list_of,
    map_of,
    nullable,
    record,
    said,
    word,
)
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.inventory.inventory_queries import Health

ALERT: Final = resource(
    "Alert",
    {
        "id": ID,
        "tenantId": ID,
        "title": TEXT,
        "category": said(TEXT, "What happened, as a stable code."),
        "severity": word(Severity),
        "status": word("new", "resolved"),
        "serviceSource": word("shieldwall"),
        "createdDateTime": MOMENT,
        "firstActivityDateTime": MOMENT,
        "lastActivityDateTime": MOMENT,
        "lastUpdateDateTime": MOMENT,
        "resolvedDateTime": nullable(MOMENT),
        "alertWebUrl": ADDRESS,
        "evidence": list_of(
            record(
                {
                    "@odata.type": constant("#microsoft.graph.security.deviceEvidence"),
                    "azureAdDeviceId": ID,
                    "mdeDeviceId": ID,
                    "deviceDnsName": nullable(TEXT),
                }
            )
        ),
        "shieldwall": record(
            {
                "times": said(COUNT, "How often it happened."),
                "resolvedBy": nullable(TEXT),
                "details": said(ANYTHING, "What is known, as it was noted."),
            }
        ),
    },
    meaning="What an administrator should look at.",
)
DEVICE_EVENT: Final = resource(
    "DeviceEvent",
    {
        "id": ID,
        "tenantId": ID,
        "deviceId": ID,
        "deviceName": nullable(TEXT),
        "eventDateTime": said(MOMENT, "When it happened by the device's clock, or came in where that is ahead."),
        "receivedDateTime": MOMENT,
        "category": said(TEXT, "What happened, as a stable code such as `malware.blocked`."),
        "severity": word(EventSeverity),
        "title": TEXT,
        "subject": said(TEXT, "What it is about: the name of a threat, a rule, a program."),
        "times": said(COUNT, "How often it happened, where the device counted."),
        "details": said(map_of(TEXT), "What else the device tells of it."),
    },
    meaning="Something that happened on a device.",
)
MANAGED_TENANT: Final = resource(
    "ManagedTenant",
    {
        "id": ID,
        "tenantId": ID,
        "displayName": TEXT,
        "createdDateTime": MOMENT,
        "contract": record({"displayName": TEXT, "defaultDomainName": TEXT}),
        "tenantStatusInformation": record(
            {
                "onboardingStatus": word("active"),
                "onboardedDateTime": MOMENT,
                "tenantOnboardingEligibilityReason": word("none"),
            }
        ),
        "devices": record(
            {
                "count": COUNT,
                "states": record({state.value: COUNT for state in DeviceState if state is not DeviceState.RETIRED}),
                "health": record({health.value: COUNT for health in Health}),
                "enrollmentCodes": list_of(record({"code": NUMBER, "count": COUNT})),
                "lastCheckInDateTime": nullable(MOMENT),
            }
        ),
        "openAlerts": record({severity.value: COUNT for severity in Severity}),
    },
    meaning="A tenant of the server with its counts.",
)
