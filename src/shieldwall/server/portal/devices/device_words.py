"""What pages of devices call things: columns, filters, states; every text is marked, and translated where shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shieldwall.server.manager.timeline import Source
from shieldwall.server.portal.language import marked
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState
from shieldwall.server.storage.inventory.inventory_queries import Health, Sort


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the list, what it is called, what orders by it, and whether it is shown to who chose nothing."""

    name: str
    label: str
    sort: Sort
    is_default: bool = True
    is_number: bool = False


COLUMNS: Final = (
    Column(name="name", label=marked("Device"), sort=Sort.NAME),
    Column(name="health", label=marked("Health"), sort=Sort.HEALTH),
    Column(name="policyState", label=marked("Policies"), sort=Sort.POLICY_STATE),
    Column(name="os", label=marked("System"), sort=Sort.OS),
    Column(name="managedBy", label=marked("Managed by"), sort=Sort.MANAGED_BY),
    Column(name="enrollmentCode", label=marked("Enrollment"), sort=Sort.ENROLLMENT_CODE, is_default=False),
    Column(name="state", label=marked("Life"), sort=Sort.STATE, is_default=False),
    Column(name="drifted", label=marked("Drift"), sort=Sort.EXPOSURE, is_number=True),
    Column(name="tag", label=marked("Tags"), sort=Sort.TAG),
    Column(name="agentVersion", label=marked("Agent"), sort=Sort.AGENT_VERSION, is_default=False),
    Column(name="attestation", label=marked("Key"), sort=Sort.ATTESTATION, is_default=False),
    Column(name="lastCheckIn", label=marked("Last check-in"), sort=Sort.LAST_CHECK_IN),
)
"""In the order in which they stand. The first names the device, and is always there."""

FILTERS: Final[Mapping[str, str]] = {
    "search": marked("Search"),
    "health": marked("Health"),
    "policyState": marked("Policies"),
    "onboardingStatus": marked("Onboarding"),
    "state": marked("Life"),
    "enrollmentCode": marked("Enrollment"),
    "os": marked("System"),
    "osVersion": marked("Version"),
    "tag": marked("Tag"),
    "managedBy": marked("Managed by"),
    "agentVersion": marked("Agent"),
    "attestation": marked("Key"),
    "drifted": marked("Drift"),
    "duplicate": marked("Duplicate"),
    "seenBefore": marked("Last check-in before"),
    "seenAfter": marked("Last check-in after"),
    "group": marked("Group"),
    "includeRetired": marked("Those that left"),
}
"""What each parameter of the list's address asks for."""

LIFE: Final[Mapping[DeviceState, str]] = {
    DeviceState.PENDING: marked("Waits to be let in"),
    DeviceState.ACTIVE: marked("In use"),
    DeviceState.QUARANTINED: marked("In quarantine"),
    DeviceState.DISABLED: marked("Disabled"),
    DeviceState.LEAVING: marked("Told to leave"),
    DeviceState.RETIRED: marked("Left"),
}
HEALTHS: Final[Mapping[Health, str]] = {
    Health.ACTIVE: marked("Active"),
    Health.IMPAIRED: marked("Impaired"),
    Health.INACTIVE: marked("Inactive"),
}
ONBOARDING: Final[Mapping[str, str]] = {
    "pending": marked("Waiting to be let in"),
    "onboarded": marked("Onboarded"),
    "offboarding": marked("Told to leave"),
    "offboarded": marked("Offboarded"),
    "unsupported": marked("Cannot be onboarded"),
}
"""Where a device stands between onboarding and offboarding, as the API calls it."""
ATTESTATION: Final[Mapping[AttestationLevel, str]] = {
    AttestationLevel.TPM: marked("In a trusted TPM"),
    AttestationLevel.TRUST_ON_FIRST_USE: marked("In a TPM nobody vouched for"),
    AttestationLevel.NONE: marked("Not attested"),
}
SYSTEMS: Final = ("Linux", "Windows", "Windows Server", "macOS")
SOURCES: Final[Mapping[Source, str]] = {
    Source.CHECK_INS: marked("Check-ins"),
    Source.REPORTS: marked("Reports and drift"),
    Source.CHANGES: marked("Changes"),
    Source.GROUPS: marked("Groups"),
    Source.EVENTS: marked("Events"),
}
YES_NO: Final[Mapping[str, str]] = {"true": marked("yes"), "false": marked("no")}
