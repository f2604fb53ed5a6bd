"""Fields of managedDevice, read from the narrow row of a device where it has them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ColumnElement, case, false, func, literal
from sqlalchemy.sql.visitors import iterate

from shieldwall.server.graph.fields.words import always, in_words, never, unless_empty
from shieldwall.server.graph.managed_device_shapes import (
    ARCHITECTURES,
    BETA_MEMBERS,
    DEVICE_TYPES,
    JOIN_TYPES,
    MANAGEMENT_STATES,
    OWNERS,
    REGISTRATION_STATES,
    ROOTED,
    UNKNOWN_TEXTS,
)
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.odata.fields import Complex, Field, FieldMap, Property, Shown
from shieldwall.server.storage.device_records import SPEAKING
from shieldwall.server.storage.tables.folding import Folded
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory

_AGENTS: Final = (
    "eas",
    "mdm",
    "easMdm",
    "intuneClient",
    "easIntuneClient",
    "configurationManagerClient",
    "configurationManagerClientMdm",
    "configurationManagerClientMdmEas",
    "unknown",
    "jamf",
    "googleCloudDevicePolicyController",
    "microsoft365ManagedMdm",
    "msSense",
    "intuneAosp",
    "google",
    "unknownFutureValue",
)
_COMPLIANCE: Final = (
    "unknown",
    "compliant",
    "noncompliant",
    "conflict",
    "error",
    "inGracePeriod",
    "configManager",
)
_OWNER_TYPES: Final = ("unknown", "company", "personal")
_JOINS: Final = ("unknown", *JOIN_TYPES.values())
_REGISTRATIONS: Final = (
    "notRegistered",
    "registered",
    "revoked",
    "keyConflict",
    "approvalPending",
    "certificateReset",
    "notRegisteredPendingEnrollment",
    "unknown",
)
_MANAGEMENT: Final = (
    "managed",
    "retirePending",
    "retireFailed",
    "wipePending",
    "wipeFailed",
    "unhealthy",
    "deletePending",
    "retireIssued",
    "wipeIssued",
    "wipeCanceled",
    "retireCanceled",
    "discovered",
)
_ENROLLMENTS: Final = (
    "unknown",
    "userEnrollment",
    "deviceEnrollmentManager",
    "appleBulkWithUser",
    "appleBulkWithoutUser",
    "windowsAzureADJoin",
    "windowsBulkUserless",
    "windowsAutoEnrollment",
    "windowsBulkAzureDomainJoin",
    "windowsCoManagement",
)
_THREATS: Final = (
    "unknown",
    "activated",
    "deactivated",
    "secured",
    "lowSeverity",
    "mediumSeverity",
    "highSeverity",
    "unresponsive",
    "compromised",
    "misconfigured",
)
_row, _device = inventory.c, devices.c


def _managed() -> ColumnElement[bool]:
    speaking = _row.state.in_(sorted(state.value for state in SPEAKING))
    return speaking & (_row.enrollment_code == 1)


def _management_state() -> ColumnElement[str]:
    by_state = [(_row.state == state.value, word) for state, word in MANAGEMENT_STATES.items()]
    return case(*by_state, (_managed(), literal("managed")), else_=literal("discovered"))


_NAMED_UNKNOWN: Final = frozenset(
    {"serialNumber", "userId", "userPrincipalName", "userDisplayName", "emailAddress", "imei", "wiFiMacAddress"}
)
"""Published members without a value that programs filter by all the same."""
_OWN: Final = FieldMap(
    (
        fields.text("registration", _device.registration),
        fields.text("deviceState", _row.state),
        fields.text("deviceStateReason", _device.state_reason, nullable=True),
        fields.text("managedBy", func.coalesce(unless_empty(_row.managed_by), "unknown")),
        fields.text("agentVersion", _row.agent_version),
        fields.text("catalogVersion", _device.catalog_version),
        fields.text("keyProtection", _device.key_protection),
        fields.text("attestationLevel", _row.attestation_level),
        fields.texts("tags", _device.tags),
        fields.guid("packageId", _device.package_id, nullable=True),
        fields.moment("lastSeenDateTime", check_ins.c.last_check_in, nullable=True),
        fields.number("repairedSettings", _row.repaired),
        fields.number("driftedSettings", _row.drifted),
        fields.within("enrollment", fields.number("code", _row.enrollment_code), *fields.shown("status", "reason")),
        *fields.shown("state", "upToDate", "health", "onboardingStatus", "providers", "duplicates", "protection"),
    )
)
_PUBLISHED: Final[tuple[Property, ...]] = (
    fields.guid("id", _row.device_id),
    fields.text("deviceName", _row.name_folded, folded=True),
    fields.text("managedDeviceName", func.coalesce(_device.managed_name, _device.display_name)),
    always("managementAgent", "msSense", _AGENTS),
    fields.text("operatingSystem", _row.os_folded, folded=True),
    fields.text("osVersion", _row.os_version),
    fields.guid("azureADDeviceId", _row.device_id),
    fields.guid("azureActiveDirectoryDeviceId", _row.device_id),
    fields.boolean("azureADRegistered", _device.trust_type.is_not(None)),
    fields.boolean("aadRegistered", _device.trust_type.is_not(None)),
    fields.choice("deviceRegistrationState", _REGISTRATIONS, in_words(REGISTRATION_STATES, _row.state, "unknown")),
    always("deviceEnrollmentType", "unknown", _ENROLLMENTS),
    always("complianceState", "unknown", _COMPLIANCE),
    fields.choice("managedDeviceOwnerType", _OWNER_TYPES, in_words(OWNERS, _device.device_ownership, "unknown")),
    fields.choice("ownerType", _OWNER_TYPES, in_words(OWNERS, _device.device_ownership, "unknown")),
    fields.moment("enrolledDateTime", _row.registered_at),
    fields.moment("lastSyncDateTime", check_ins.c.last_check_in, nullable=True),
    fields.text("manufacturer", _device.manufacturer),
    fields.text("model", _device.model),
    fields.text(
        "jailBroken",
        case(
            (_device.is_rooted.is_(None), ROOTED[None]),
            (_device.is_rooted, ROOTED[True]),
            else_=ROOTED[False],
        ),
    ),
    fields.boolean("easActivated", false()),
    always("partnerReportedThreatState", "unknown", _THREATS),
    fields.text("deviceCategoryDisplayName", _device.device_category),
    fields.text("enrollmentProfileName", unless_empty(_device.enrollment_profile_name), nullable=True),
    fields.moment("managementCertificateExpirationDate", _device.certificate_expires_at, nullable=True),
    fields.text("notes", unless_empty(_device.notes), nullable=True),
    fields.choice("joinType", _JOINS, in_words(JOIN_TYPES, _device.trust_type, "unknown")),
    fields.text("deviceType", in_words(DEVICE_TYPES, _row.os_type, "unknown")),
    fields.text("processorArchitecture", in_words(ARCHITECTURES, Folded(_device.architecture), "unknown")),
    fields.choice("managementState", _MANAGEMENT, _management_state()),
    *map(never, sorted(_NAMED_UNKNOWN)),
    Complex(name="shieldwall", fields=_OWN),
)
_SEARCHED: Final = {"deviceName": "deviceName", "displayName": "deviceName"}
_OTHERS: Final = sorted(
    {
        *UNKNOWN_TEXTS,
        *BETA_MEMBERS,
        "exchangeAccessState",
        "exchangeAccessStateReason",
        "deviceActionResults",
        "configurationManagerClientInformation",
    }
    - {each.name for each in _PUBLISHED}
)
MANAGED_DEVICE_FIELDS: Final = FieldMap((*_PUBLISHED, *fields.shown(*_OTHERS)), searched=_SEARCHED)


def _in_narrow_row(each: Property) -> Property:
    """Return a property as it is where the narrow row alone has it, and otherwise as one to be selected."""
    match each:
        case Complex():
            return Complex(name=each.name, fields=FieldMap(tuple(map(_in_narrow_row, each.fields))))
        case Field(column=ColumnElement() as column):
            tables = {found.table for found in iterate(column) if isinstance(found, Column)}
            return each if tables <= {inventory} else Shown(name=each.name)
        case _:
            return Shown(name=each.name)


MACHINE_FIELDS: Final = FieldMap(tuple(map(_in_narrow_row, MANAGED_DEVICE_FIELDS)), searched=_SEARCHED)
"""Of the list that people look for devices in: what their narrow rows have."""
