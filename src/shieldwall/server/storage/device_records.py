"""Devices as the domains see them: frozen rows. Times are aware UTC; lists and maps are parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint, PackageId, TenantId
from shieldwall.contract.messages import MANAGED_CODE


class Registration(StrEnum):
    """How a device got its identity."""

    SYNTHETIC = "synthetic"
    FULL = "full"


class TrustType(StrEnum):
    """How a full registration came about; a synthetic one has none, and its join type is shown blank."""

    WORKPLACE = "Workplace"
    """Registered: a personal device or one that only brings an account."""
    AZURE_AD = "AzureAd"
    """Joined to the directory itself; also a full join of ours."""
    SERVER_AD = "ServerAd"
    """Joined to a domain, and registered in the directory by its synchronisation (hybrid)."""


class DeviceState(StrEnum):
    """Where a device is in its life.

    ``pending`` → ``active`` ⇄ ``disabled`` or ``quarantined`` → ``leaving`` → ``retired``. A device that is deleted has
    no state: it is gone, and its key is spent.
    """

    PENDING = "pending"
    """Registered, and waits for approval or attestation; it gets nothing."""
    ACTIVE = "active"
    DISABLED = "disabled"
    QUARANTINED = "quarantined"
    """Its identity was seen on two machines: it keeps what it enforces and gets only what strengthens it."""
    LEAVING = "leaving"
    """Told to leave management; the order waits for its next check-in."""
    RETIRED = "retired"


SPEAKING: Final = frozenset({DeviceState.ACTIVE, DeviceState.QUARANTINED, DeviceState.LEAVING})
"""States in which a device may check in."""


class AttestationLevel(StrEnum):
    """How sure it is that a device's key lives in a TPM."""

    NONE = "none"
    TRUST_ON_FIRST_USE = "tofu"
    """In a TPM, of a maker nobody vouched for."""
    TPM = "tpm"
    """In a TPM whose endorsement key this tenant trusts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A machine with an identity in the directory, and what it last said about itself."""

    id: DeviceId
    object_id: str
    tenant_id: TenantId
    display_name: str
    registration: Registration
    trust_type: str | None
    state: DeviceState
    os_type: str
    os_version: str
    architecture: str
    manufacturer: str
    model: str
    agent_version: str
    catalog_version: str
    providers: dict[str, str] = field(default_factory=dict)
    managed_elsewhere: str | None
    tags: tuple[str, ...]
    key_thumbprint: KeyThumbprint
    public_key: bytes
    certificate: str
    request_digest: Digest
    instance_id: str
    machine_id_hash: Digest | None
    smbios_uuid_hash: Digest | None
    package_id: PackageId | None
    registered_at: datetime
    retired_at: datetime | None
    state_reason: str | None = None
    """Why it is pending, quarantined or retired: a code such as ``duplicateHardware`` or ``clonedIdentity``."""
    enrollment_code: int = 1
    """The published enrollment status (``policy.enrollment``); 1 alone means managed here."""
    manager: str | None = None
    unsuitable: str | None = None
    is_domain_controller: bool = False
    device_category: str = ""
    device_ownership: str = "Company"
    enrollment_profile_name: str = ""
    mdm_app_id: str | None = None
    profile_type: str = "RegisteredDevice"
    extension_attributes: dict[str, str] = field(default_factory=dict)
    """``extensionAttribute1`` … ``15`` to texts, set by administrators."""
    physical_ids: tuple[str, ...] = ()
    system_labels: tuple[str, ...] = ()
    is_rooted: bool | None = None
    attestation_level: AttestationLevel = AttestationLevel.NONE
    key_protection: str = "software"
    tpm_ek_hash: Digest | None = None
    certificate_expires_at: datetime | None = None
    replaces: DeviceId | None = None
    """The device this one seems to be the successor of: a suggestion, until an administrator follows it."""
    troubleshooting_until: datetime | None = None
    """Until then tamper protection lets whoever is at the device change things."""
    notes: str = ""
    """What administrators wrote down about it."""
    managed_name: str | None = None
    """What administrators call it, where that is not the name it gives itself."""

    @property
    def is_managed(self) -> bool:
        """Whether policies reach it: it may speak, and its enrollment says that this channel manages it."""
        return self.state in SPEAKING and self.enrollment_code == MANAGED_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInState:
    """The narrow row that a check-in touches: sequence, digests, times."""

    device_id: DeviceId
    epoch: int
    seq: int
    request_digest: Digest | None
    last_check_in: datetime | None
    target_digest: Digest | None
    facts_digest: Digest | None
    status_digest: Digest | None
    status_at: datetime | None
    sync_requested_at: datetime | None
    tenant_id: TenantId
    protocol: int
    """What the device understands, of ``contract.messages.PROTOCOLS``."""
    aims_version: int
    """The change of its tenant as of which its target and its dynamic groups are right."""
