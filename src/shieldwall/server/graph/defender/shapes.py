"""Machines and orders as Defender for Endpoint shows them, and what may be asked of lists of them. Pure.

What no sensor tells here (risk, exposure, addresses) has the published word for nothing, and no made-up value.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Text, case, func, literal, null

from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.odata.fields import FieldMap
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.inventory.machine_ids import machine_id_of
from shieldwall.server.inventory.machines import Machine
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices.machine_actions import STATUS, MachineAction
from shieldwall.server.storage.inventory.inventory_queries import Health
from shieldwall.server.storage.tables.report_schema import machine_actions
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory

MANAGED_BY: Final = "MicrosoftDefenderForEndpoint"
_PLATFORMS: Final = {"Windows Server": "WindowsServer"}
"""Systems that are written otherwise there."""
_HEALTH: Final = {Health.ACTIVE: "Active", Health.INACTIVE: "Inactive", Health.IMPAIRED: "ImpairedCommunication"}
_PROCESSORS: Final = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64", "i686": "x86"}
_SMALL: Final = frozenset({"x86", "arm"})
_NOT_HERE: Final = frozenset({DeviceState.PENDING, DeviceState.RETIRED})
_row = inventory.c


def machine_resource(machine: Machine) -> Json:
    """Shape a machine."""
    device = machine.device
    processor = _PROCESSORS.get(device.architecture.lower(), device.architecture or None)
    return {
        "id": machine_id_of(device.id),
        "computerDnsName": device.display_name,
        "firstSeen": moment(device.registered_at),
        "lastSeen": moment(machine.standing.last_check_in or device.registered_at),
        "osPlatform": _PLATFORMS.get(device.os_type, device.os_type),
        "osVersion": None,
        "osProcessor": processor,
        "osArchitecture": "32-bit" if processor in _SMALL else "64-bit",
        "osBuild": None,
        "version": device.os_version,
        "lastIpAddress": None,
        "lastExternalIpAddress": None,
        "ipAddresses": [],
        "agentVersion": device.agent_version,
        "healthStatus": _HEALTH[machine.health],
        "onboardingStatus": onboarding_status(device),
        "riskScore": "None",
        "exposureLevel": "None",
        "deviceValue": "Normal",
        "rbacGroupId": 0,
        "rbacGroupName": None,
        "isAadJoined": device.trust_type is not None,
        "aadDeviceId": device.id,
        "machineTags": list(device.tags),
        "vmMetadata": None,
        "isPotentialDuplication": device.state_reason == "duplicateHardware",
        "mergedIntoMachineId": None,
        "isExcluded": False,
        "exclusionReason": None,
        "managedBy": MANAGED_BY if device.is_managed else "Unknown",
        "managedByStatus": "Success" if device.is_managed else "Unknown",
    }


def onboarding_status(device: Device) -> str:
    """Say in the published words whether a machine is onboarded."""
    if device.unsuitable is not None:
        return "Unsupported"
    return "CanBeOnboarded" if device.state in _NOT_HERE else "Onboarded"


def machine_fields(inactive_before: datetime) -> FieldMap:
    """Return what machines may be asked about at this moment: health depends on it."""
    seen = func.coalesce(check_ins.c.last_check_in, _row.registered_at)
    health = case(
        (seen < literal(inactive_before, check_ins.c.last_check_in.type), "Inactive"),
        (_row.impaired, "ImpairedCommunication"),
        else_="Active",
    )
    onboarding = case(
        (devices.c.unsuitable.is_not(None), "Unsupported"),
        (_row.state.in_(sorted(state.value for state in _NOT_HERE)), "CanBeOnboarded"),
        else_="Onboarded",
    )
    return FieldMap(
        (
            fields.text("id", _machine_id()),
            fields.text("computerDnsName", _row.name_folded, folded=True),
            fields.guid("aadDeviceId", _row.device_id),
            fields.text("osPlatform", case(_PLATFORMS, value=_row.os_type, else_=_row.os_type)),
            fields.text("version", _row.os_version),
            fields.text("agentVersion", _row.agent_version),
            fields.moment("firstSeen", _row.registered_at),
            fields.moment("lastSeen", seen),
            fields.text("healthStatus", health),
            fields.text("onboardingStatus", onboarding),
            fields.texts("machineTags", devices.c.tags),
            fields.text("riskScore", literal("None", Text())),
            fields.text("exposureLevel", literal("None", Text())),
            fields.text("deviceValue", literal("Normal", Text())),
            fields.number("rbacGroupId", literal(0)),
            fields.text("rbacGroupName", null(), nullable=True),
            fields.text("lastIpAddress", null(), nullable=True),
            fields.text("lastExternalIpAddress", null(), nullable=True),
            fields.boolean("isAadJoined", devices.c.trust_type.is_not(None)),
            *fields.shown("osProcessor", "osArchitecture", "osBuild", "osVersion", "ipAddresses", "vmMetadata"),
            *fields.shown("isPotentialDuplication", "mergedIntoMachineId", "isExcluded", "exclusionReason"),
            *fields.shown("managedBy", "managedByStatus"),
        )
    )


def action_resource(action: MachineAction) -> Json:
    """Shape a machineAction."""
    return {
        "id": action.id,
        "type": action.type,
        "scope": None,
        "title": None,
        "requestor": action.requestor,
        "requestorComment": action.comment,
        "requestSource": "PublicApi",
        "externalId": None,
        "status": action.status,
        "machineId": machine_id_of(action.device_id),
        "computerDnsName": action.device_name,
        "creationDateTimeUtc": moment(action.created_at),
        "lastUpdateDateTimeUtc": moment(action.updated_at),
        "cancellationRequestor": action.cancelled_by,
        "cancellationComment": action.cancel_comment,
        "cancellationDateTimeUtc": moment(action.cancelled_at),
        "errorHResult": 0,
        "relatedFileInfo": None,
        "commands": [],
        "troubleshootInfo": None,
    }


ACTION_FIELDS: Final = FieldMap(
    (
        fields.guid("id", machine_actions.c.id),
        fields.text("status", STATUS),
        fields.text("type", machine_actions.c.type),
        fields.text("requestor", machine_actions.c.requestor),
        fields.text("computerDnsName", machine_actions.c.device_name),
        fields.moment("creationDateTimeUtc", machine_actions.c.created_at),
        fields.moment("lastUpdateDateTimeUtc", machine_actions.c.updated_at),
        *fields.shown("machineId", "scope", "title", "requestorComment", "requestSource", "externalId"),
        *fields.shown("cancellationRequestor", "cancellationComment", "cancellationDateTimeUtc"),
        *fields.shown("errorHResult", "relatedFileInfo", "commands", "troubleshootInfo"),
    )
)


def _machine_id() -> ColumnElement[str]:
    """Write the id of a machine as ``machine_ids`` does, as SQL."""
    digits = func.replace(_row.device_id, "-", "", type_=Text())
    return digits + func.substr(_row.device_id, 1, 8, type_=Text())
