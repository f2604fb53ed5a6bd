"""How the routes of Defender for Endpoint's API describe themselves: its error, its machines and its orders."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.describing import GRAPH
from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.openapi.description import FrontDoor
from shieldwall.server.openapi.shapes import (
    ANYTHING,
    COUNT,
    FLAG,
    ID,
    MOMENT,
    NOTHING,
    TEXT,
    Component,
    Schema,
    list_of,
    nullable,
    record,
    said,
    text,
    word,
)

MACHINE_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
ERROR: Final = Component(
    "DefenderError",
    record(
        {
            "error": record(
                {
                    "code": TEXT,
                    "message": text("The cause and the remedy in plain words."),
                    "target": text("The id of the request."),
                    "innerError": record({"code": text("Our stable code, which programs may rely on.")}),
                }
            )
        }
    ),
)
DEFENDER: Final = FrontDoor(
    name="Defender",
    error=ERROR,
    error_type=GRAPH.error_type,
    always=GRAPH.always,
    guarded=GRAPH.guarded,
    with_body=GRAPH.with_body,
    with_path=GRAPH.with_path,
    passed_over=GRAPH.passed_over,
    group_of=lambda path: f"Defender {path.split('/')[2]}",
    parameters={
        "machine_id": text("The id of the machine: forty hexadecimal digits."),
        "action_id": said(ID, "The id of the order."),
    },
)
MACHINE: Final = resource(
    "Machine",
    {
        "id": MACHINE_ID,
        "computerDnsName": TEXT,
        "firstSeen": nullable(MOMENT),
        "lastSeen": nullable(MOMENT),
        "osPlatform": TEXT,
        "osVersion": NOTHING,
        "osProcessor": nullable(TEXT),
        "osArchitecture": word("32-bit", "64-bit"),
        "osBuild": NOTHING,
        "version": TEXT,
        "lastIpAddress": NOTHING,
        "lastExternalIpAddress": NOTHING,
        "ipAddresses": list_of(ANYTHING),
        "agentVersion": TEXT,
        "healthStatus": word("Active", "Inactive", "ImpairedCommunication"),
        "onboardingStatus": word("Onboarded", "CanBeOnboarded", "Unsupported"),
        "riskScore": word("None"),
        "exposureLevel": word("None"),
        "deviceValue": word("Normal"),
        "rbacGroupId": COUNT,
        "rbacGroupName": NOTHING,
        "isAadJoined": FLAG,
        "aadDeviceId": ID,
        "machineTags": list_of(TEXT),
        "vmMetadata": NOTHING,
        "isPotentialDuplication": FLAG,
        "mergedIntoMachineId": NOTHING,
        "isExcluded": FLAG,
        "exclusionReason": NOTHING,
        "managedBy": word("MicrosoftDefenderForEndpoint", "Unknown"),
        "managedByStatus": word("Success", "Unknown"),
    },
    meaning="A device as Defender for Endpoint shows it.",
)
MACHINES: Final = Component("Machines", record({"@odata.context": TEXT, "value": list_of(MACHINE)}))
ACTION: Final = resource(
    "MachineAction",
    {
        "id": ID,
        "type": TEXT,
        "scope": NOTHING,
        "title": NOTHING,
        "requestor": TEXT,
        "requestorComment": TEXT,
        "requestSource": word("PublicApi"),
        "externalId": NOTHING,
        "status": TEXT,
        "machineId": MACHINE_ID,
        "computerDnsName": TEXT,
        "creationDateTimeUtc": MOMENT,
        "lastUpdateDateTimeUtc": MOMENT,
        "cancellationRequestor": nullable(TEXT),
        "cancellationComment": nullable(TEXT),
        "cancellationDateTimeUtc": nullable(MOMENT),
        "errorHResult": COUNT,
        "relatedFileInfo": NOTHING,
        "commands": list_of(ANYTHING),
        "troubleshootInfo": NOTHING,
    },
    meaning="An order to a machine.",
)
