"""Devices and existing registrations as Graph's ``device``: names, types and meaning as published."""

from __future__ import annotations

import base64
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from shieldwall.server.graph.resources import MANAGEMENT_TYPE, Json, moment
from shieldwall.server.storage.device_records import CheckInState, Device, DeviceState, Registration
from shieldwall.server.storage.devices.registrations import ExistingRegistration
from shieldwall.server.storage.tenants.trusted_authorities import TrustedAuthority
from shieldwall.trust.existing_keys import read_directory_authority

ALTERNATE_KEY: Final = "deviceId="
"""How a path that names a device by its device id alone arrives here (``graph.paths``)."""
SECURITY_IDENTIFIER_TYPE: Final = 2
"""The only kind of ``alternativeSecurityIds`` that devices have."""
_PREFIX: Final = "X509:<SHA1-TP-PUBKEY>"


def device_resource(device: Device, check_in: CheckInState | None) -> Json:
    """Shape a device of the directory. A synthetic registration has a blank join type: ``trustType`` is null."""
    return {
        **_common(),
        "id": device.object_id,
        "deviceId": device.id,
        "displayName": device.display_name,
        "accountEnabled": device.state is DeviceState.ACTIVE,
        "operatingSystem": device.os_type,
        "operatingSystemVersion": device.os_version,
        "trustType": device.trust_type,
        "isManaged": device.is_managed,
        "managementType": MANAGEMENT_TYPE if device.is_managed else None,
        "profileType": device.profile_type,
        "deviceOwnership": device.device_ownership,
        "deviceCategory": device.device_category or None,
        "enrollmentProfileName": device.enrollment_profile_name or None,
        "mdmAppId": device.mdm_app_id,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "isRooted": device.is_rooted,
        "registrationDateTime": moment(device.registered_at),
        "approximateLastSignInDateTime": moment(check_in.last_check_in if check_in else None),
        "physicalIds": list(device.physical_ids),
        "systemLabels": list(device.system_labels),
        "extensionAttributes": {
            f"extensionAttribute{number}": device.extension_attributes.get(f"extensionAttribute{number}")
            for number in range(1, 16)
        },
        "shieldwall": {
            "registration": device.registration.value,
            "deviceState": device.state.value,
            "stateReason": device.state_reason,
            "source": None,
        },
    }


def registration_resource(registration: ExistingRegistration) -> Json:
    """Shape a registration that no device uses yet."""
    return {
        **_common(),
        "id": registration.object_id,
        "deviceId": registration.device_id,
        "displayName": registration.display_name,
        "accountEnabled": registration.is_enabled,
        "operatingSystem": registration.os_type or None,
        "operatingSystemVersion": registration.os_version or None,
        "trustType": registration.trust_type.value,
        "isManaged": registration.manager is not None,
        "managementType": registration.manager,
        "registrationDateTime": moment(registration.created_at),
        "alternativeSecurityIds": [
            {
                "type": SECURITY_IDENTIFIER_TYPE,
                "identityProvider": None,
                "key": base64.b64encode(
                    f"{_PREFIX}{thumbprint_of(registration.certificate)}".encode("utf-16-le")
                ).decode(),
            }
        ],
        "shieldwall": {
            "registration": Registration.FULL.value,
            "deviceState": None,
            "stateReason": None,
            "source": registration.source.value,
            "certificateExpirationDateTime": moment(registration.expires_at),
        },
    }


def authority_resource(authority: TrustedAuthority) -> Json:
    """Shape an authority that vouches for registrations."""
    certificate = read_directory_authority(authority.value)
    return {
        "id": authority.id,
        "displayName": authority.display_name,
        "subject": certificate.subject.rfc4514_string(),
        "certificate": authority.value,
        "expirationDateTime": moment(certificate.not_valid_after_utc),
        "createdDateTime": moment(authority.created_at),
    }


def thumbprint_of(pem: str) -> str:
    """Name a certificate the way security identifiers do: SHA-1 of its bytes, in capitals. Nothing relies on it."""
    certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name that Graph prescribes


def named_thumbprint(key: bytes) -> str | None:
    """Return the thumbprint that a security identifier names, ``None`` where it is of another form."""
    try:
        text = key.decode("utf-16-le")
    except UnicodeDecodeError:
        return None
    return text[len(_PREFIX) :][:40].upper() if text.startswith(_PREFIX) else None


def _common() -> Json:
    """Return the members that every device has and that say nothing yet."""
    return {
        "isCompliant": None,
        "complianceExpirationDateTime": None,
        "deviceMetadata": None,
        "deviceVersion": 2,
        "enrollmentType": None,
        "profileType": "RegisteredDevice",
        "deviceOwnership": None,
        "deviceCategory": None,
        "enrollmentProfileName": None,
        "mdmAppId": None,
        "manufacturer": None,
        "model": None,
        "isRooted": None,
        "isManagementRestricted": False,
        "approximateLastSignInDateTime": None,
        "physicalIds": [],
        "systemLabels": [],
        "alternativeSecurityIds": [],
        "extensionAttributes": {f"extensionAttribute{number}": None for number in range(1, 16)},
        "onPremisesSyncEnabled": None,
        "onPremisesLastSyncDateTime": None,
    }
