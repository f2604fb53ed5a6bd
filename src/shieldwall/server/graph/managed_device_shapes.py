"""Devices as ``managedDevice``: every published member, with the value that is so here, or none where none is known.

SDKs drop words of an enumeration that they do not know without saying so; therefore each one here is from the published
list. What only beta has, ``as_of`` leaves out of answers under ``/v1.0``.
"""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.resources import Json, enrollment_resource, moment
from shieldwall.server.manager.summaries import DeviceSummary
from shieldwall.server.storage.device_records import Device, DeviceState, TrustType
from shieldwall.server.storage.inventory.inventory_rows import managed_by

BETA: Final = "/beta/"
OWNERS: Final = {"Company": "company", "Personal": "personal"}
JOIN_TYPES: Final = {
    TrustType.AZURE_AD.value: "azureADJoined",
    TrustType.WORKPLACE.value: "azureADRegistered",
    TrustType.SERVER_AD.value: "hybridAzureADJoined",
}
DEVICE_TYPES: Final = {"Windows": "desktop", "Windows Server": "desktop", "macOS": "mac", "Linux": "linux"}
ARCHITECTURES: Final = {
    "x86_64": "x64",
    "amd64": "x64",
    "aarch64": "arM64",
    "arm64": "arM64",
    "i386": "x86",
    "i686": "x86",
    "armv7l": "arm",
    "arm": "arm",
}
REGISTRATION_STATES: Final = {
    DeviceState.PENDING: "approvalPending",
    DeviceState.ACTIVE: "registered",
    DeviceState.DISABLED: "revoked",
    DeviceState.QUARANTINED: "keyConflict",
    DeviceState.LEAVING: "registered",
    DeviceState.RETIRED: "notRegistered",
}
MANAGEMENT_STATES: Final = {
    DeviceState.PENDING: "discovered",
    DeviceState.DISABLED: "unhealthy",
    DeviceState.QUARANTINED: "unhealthy",
    DeviceState.LEAVING: "retirePending",
    DeviceState.RETIRED: "retireIssued",
}
ROOTED: Final = {True: "True", False: "False", None: "Unknown"}
UNKNOWN_TEXTS: Final = (
    "activationLockBypassCode",
    "androidSecurityPatchLevel",
    "complianceGracePeriodExpirationDateTime",
    "configurationManagerClientEnabledFeatures",
    "deviceHealthAttestationState",
    "easActivationDateTime",
    "easDeviceId",
    "emailAddress",
    "ethernetMacAddress",
    "exchangeLastSuccessfulSyncDateTime",
    "freeStorageSpaceInBytes",
    "iccid",
    "imei",
    "isEncrypted",
    "isSupervised",
    "meid",
    "phoneNumber",
    "physicalMemoryInBytes",
    "remoteAssistanceSessionErrorDetails",
    "remoteAssistanceSessionUrl",
    "requireUserEnrollmentApproval",
    "serialNumber",
    "subscriberCarrier",
    "totalStorageSpaceInBytes",
    "udid",
    "userDisplayName",
    "userId",
    "userPrincipalName",
    "wiFiMacAddress",
)
"""Published members about what no device tells us, or about users, of whom a device of this channel has none."""
UNKNOWN_IN_BETA: Final = (
    "bootstrapTokenEscrowed",
    "chromeOSDeviceInfo",
    "configurationManagerClientHealthState",
    "configurationManagerClientInformation",
    "deviceFirmwareConfigurationInterfaceManaged",
    "deviceIdentityAttestationDetail",
    "enrolledByUserPrincipalName",
    "hardwareInformation",
    "preferMdmOverGroupPolicyAppliedDateTime",
    "retireAfterDateTime",
    "securityPatchLevel",
    "skuFamily",
    "skuNumber",
    "specificationVersion",
    "windowsActiveMalwareCount",
    "windowsRemediatedMalwareCount",
)


def managed_device_resource(device: Device, standing: DeviceSummary) -> Json:
    """Shape a managedDevice as beta has it, with our own facts under ``shieldwall``."""
    owner = OWNERS.get(device.device_ownership, "unknown")
    return {
        "id": device.id,
        "deviceName": device.display_name,
        "managedDeviceName": device.managed_name or device.display_name,
        "managementAgent": "msSense",
        "operatingSystem": device.os_type,
        "osVersion": device.os_version,
        "azureADDeviceId": device.id,
        "azureADRegistered": device.trust_type is not None,
        "deviceRegistrationState": REGISTRATION_STATES[device.state],
        "deviceEnrollmentType": "unknown",
        "complianceState": "unknown",
        "managedDeviceOwnerType": owner,
        "enrolledDateTime": moment(device.registered_at),
        "lastSyncDateTime": moment(standing.check_in.last_check_in),
        "manufacturer": device.manufacturer,
        "model": device.model,
        "jailBroken": ROOTED[device.is_rooted],
        "easActivated": False,
        "exchangeAccessState": "none",
        "exchangeAccessStateReason": "none",
        "partnerReportedThreatState": "unknown",
        "deviceCategoryDisplayName": device.device_category,
        "enrollmentProfileName": device.enrollment_profile_name or None,
        "managementCertificateExpirationDate": moment(device.certificate_expires_at),
        "notes": device.notes or None,
        "deviceActionResults": _actions(device, standing),
        **dict.fromkeys(UNKNOWN_TEXTS),
        **_beta_members(device, owner),
        "shieldwall": _own_members(device, standing),
    }


def as_of(path: str, resource: Json) -> Json:
    """Return a managedDevice as the version has it that the path of a request names."""
    if path.startswith(BETA):
        return resource
    return {name: value for name, value in resource.items() if name not in BETA_MEMBERS}


def _beta_members(device: Device, owner: str) -> Json:
    return {
        "aadRegistered": device.trust_type is not None,
        "autopilotEnrolled": False,
        "azureActiveDirectoryDeviceId": device.id,
        "chassisType": "unknown",
        "cloudPcRemoteActionResults": [],
        "deviceType": DEVICE_TYPES.get(device.os_type, "unknown"),
        "joinType": JOIN_TYPES.get(device.trust_type or "", "unknown"),
        "lostModeState": "disabled",
        "managementFeatures": "none",
        "managementState": _management_state(device),
        "ownerType": owner,
        "processorArchitecture": ARCHITECTURES.get(device.architecture.lower(), "unknown"),
        "roleScopeTagIds": ["0"],
        "usersLoggedOn": [],
        **dict.fromkeys(UNKNOWN_IN_BETA),
    }


BETA_MEMBERS: Final = frozenset(
    {
        "aadRegistered",
        "autopilotEnrolled",
        "azureActiveDirectoryDeviceId",
        "chassisType",
        "cloudPcRemoteActionResults",
        "deviceType",
        "joinType",
        "lostModeState",
        "managementFeatures",
        "managementState",
        "ownerType",
        "processorArchitecture",
        "roleScopeTagIds",
        "usersLoggedOn",
        *UNKNOWN_IN_BETA,
    }
)


def _management_state(device: Device) -> str:
    return MANAGEMENT_STATES.get(device.state, "managed" if device.is_managed else "discovered")


def _actions(device: Device, standing: DeviceSummary) -> list[Json]:
    """Return what the device was asked to do and has not done yet."""
    asked = standing.check_in.sync_requested_at
    waiting = ["syncDevice"] if asked else []
    if device.state is DeviceState.LEAVING:
        waiting.append("retire")
    return [
        {
            "actionName": name,
            "actionState": "pending",
            "startDateTime": moment(asked),
            "lastUpdatedDateTime": moment(asked),
        }
        for name in waiting
    ]


def _own_members(device: Device, standing: DeviceSummary) -> Json:
    return {
        "registration": device.registration,
        "deviceState": device.state,
        "deviceStateReason": device.state_reason,
        "state": standing.state,
        "upToDate": standing.is_current,
        "managedBy": managed_by(device) or "unknown",
        "enrollment": enrollment_resource(standing.enrollment),
        "agentVersion": device.agent_version,
        "catalogVersion": device.catalog_version,
        "keyProtection": device.key_protection,
        "attestationLevel": device.attestation_level,
        "providers": dict(device.providers),
        "tags": list(device.tags),
    }
