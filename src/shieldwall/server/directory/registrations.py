"""Existing registrations: imported from another directory or made by a full join, claimed by a certificate's key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import Device, DeviceState, TrustType
from shieldwall.server.storage.devices import devices, registrations, spent_keys
from shieldwall.server.storage.devices.registrations import ExistingRegistration, RegistrationSource
from shieldwall.server.storage.devices.spent_keys import SpentKey
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import trusted_authorities
from shieldwall.server.storage.tenants.trusted_authorities import AuthorityKind
from shieldwall.trust.device_key import BadDeviceKeyError, public_key_from_info, thumbprint
from shieldwall.trust.existing_keys import ExistingCertificate, is_issued_by, read_directory_authority

LONGEST_MANAGER: Final = 32


class InvalidRegistrationError(ShieldwallError):
    """An existing registration cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidRegistration"
    remedy = "Correct the part named and try again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member


class ExistingCertificateUntrustedError(ShieldwallError):
    """No authority that this tenant trusts issued the certificate, and it is not one that was imported."""

    code = "existingCertificateUntrusted"
    remedy = "Import the device with this certificate, or trust the authority that issued it."


class ExistingCertificateExpiredError(ShieldwallError):
    """The certificate is not of this time."""

    code = "existingCertificateExpired"
    remedy = "Renew the certificate where it was issued; for a full join of ours, join again."


class RegistrationUnknownError(ShieldwallError):
    """The certificate is good, and names no one device that this directory has."""

    code = "registrationUnknown"
    remedy = "Import the device under the id that its certificate names."


class RegistrationDisabledError(ShieldwallError):
    """The registration is disabled in the directory."""

    code = "registrationDisabled"
    remedy = "Enable the device in the directory, then try again."


class RegistrationManagedElsewhereError(ShieldwallError):
    """Another manager owns the device of this registration."""

    code = "managedElsewhere"
    remedy = "Take the device out of the other manager first, then onboard it again."


class RegistrationInUseError(ShieldwallError):
    """A device that has not left uses this registration."""

    code = "registrationInUse"
    remedy = "Offboard or delete the device that uses it, then try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationDraft:
    """A registration as an administrator imports it. Raises: InvalidRegistrationError."""

    device_id: DeviceId
    display_name: str
    certificate: ExistingCertificate
    trust_type: TrustType = TrustType.AZURE_AD
    os_type: str = ""
    os_version: str = ""
    is_enabled: bool = True
    manager: str | None = None

    def __post_init__(self) -> None:
        """Refuse to exist when wrong."""
        _check(self.display_name, self.manager)
        for member, text, longest in (
            ("operatingSystem", self.os_type, 32),
            ("operatingSystemVersion", self.os_version, 256),
        ):
            if text and not is_name(text, longest):
                raise InvalidRegistrationError(f"{member} has at most {longest} plain characters.", member=member)


def import_registration(connection: Connection, acting: Acting, draft: RegistrationDraft) -> ExistingRegistration:
    """Take over a registration from another directory.

    Raises:
        AlreadyExistsError: A device or registration with this id, or this key, is there already.
    """
    if devices.find(connection, draft.device_id) is not None:
        raise AlreadyExistsError(f"A device {draft.device_id} is there already.")
    registration = ExistingRegistration(
        device_id=draft.device_id,
        object_id=acting.new_id(),
        tenant_id=acting.tenant_id,
        display_name=draft.display_name,
        trust_type=draft.trust_type,
        os_type=draft.os_type,
        os_version=draft.os_version,
        is_enabled=draft.is_enabled,
        manager=draft.manager,
        public_key=draft.certificate.spki,
        key_digest=draft.certificate.key_digest,
        certificate=draft.certificate.pem,
        expires_at=draft.certificate.expires_at,
        source=RegistrationSource.IMPORTED,
        created_at=acting.clock.now(),
    )
    add_registration(connection, acting, registration, "registration.imported")
    return registration


def add_registration(connection: Connection, acting: Acting, registration: ExistingRegistration, activity: str) -> None:
    """Take a registration into the directory. Raises: AlreadyExistsError."""
    registrations.add(connection, registration)
    acting.record(
        connection,
        activity,
        "device",
        registration.device_id,
        name=registration.display_name,
        trust_type=registration.trust_type.value,
    )


def get_registration(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> ExistingRegistration:
    """Return a registration of this tenant. Raises: NotFoundError."""
    found = registrations.find(connection, tenant_id, device_id)
    if found is None:
        raise NotFoundError(f"There is no device {device_id}.")
    return found


def change_registration(
    connection: Connection,
    acting: Acting,
    before: ExistingRegistration,
    *,
    display_name: str | None = None,
    is_enabled: bool | None = None,
    manager: str | None = None,
) -> ExistingRegistration:
    """Change what is known of a registration; ``manager`` is what it shall be, also where that is nobody.

    Raises:
        InvalidRegistrationError: It cannot be like that.
    """
    changed = replace(
        before,
        display_name=before.display_name if display_name is None else display_name,
        is_enabled=before.is_enabled if is_enabled is None else is_enabled,
        manager=manager,
    )
    _check(changed.display_name, changed.manager)
    if changed != before:
        registrations.put(connection, changed)
        acting.record(
            connection,
            "registration.changed",
            "device",
            changed.device_id,
            name=changed.display_name,
            enabled=changed.is_enabled,
            manager=changed.manager,
        )
    return changed


def delete_registration(connection: Connection, acting: Acting, registration: ExistingRegistration) -> None:
    """Remove a registration; the key of a join of ours never joins again."""
    registrations.remove(connection, [registration.device_id])
    if registration.source is RegistrationSource.JOINED:
        spend_join_key(connection, acting, registration)
    acting.record(connection, "registration.deleted", "device", registration.device_id, name=registration.display_name)


def spend_join_key(connection: Connection, acting: Acting, registration: ExistingRegistration) -> None:
    """Remember that the key of a join was an identity once."""
    try:
        key = public_key_from_info(registration.public_key)
    except BadDeviceKeyError:  # an imported key, which is none of ours and may come again by another import
        return
    spent_keys.add(
        connection,
        SpentKey(
            thumbprint=thumbprint(key),
            tenant_id=acting.tenant_id,
            device_id=registration.device_id,
            reason="deleted",
            spent_at=acting.clock.now(),
        ),
    )


def list_directory(
    connection: Connection, tenant_id: TenantId, page: Page
) -> tuple[Device | ExistingRegistration, ...]:
    """Return one page of devices and of registrations that no device uses yet, in the one order of their device ids."""
    found: dict[DeviceId, Device | ExistingRegistration] = {
        each.id: each for each in devices.list_devices(connection, tenant_id, page)
    }
    found |= {each.device_id: each for each in registrations.list_unused(connection, tenant_id, page)}
    return tuple(found[name] for name in sorted(found)[: page.size])


def claim(
    connection: Connection,
    tenant_id: TenantId,
    presented: ExistingCertificate,
    chain: Sequence[x509.Certificate],
    now: datetime,
) -> ExistingRegistration:
    """Find the registration that a certificate is for, and say whether it may be used.

    That the caller holds the key of the certificate has been proven before (``trust.key_proofs``).

    Raises:
        ExistingCertificateExpiredError: The certificate is not of this time.
        ExistingCertificateUntrustedError: Neither was it imported, nor does a trusted authority vouch for it.
        RegistrationUnknownError: It names no one registration of this tenant.
        RegistrationDisabledError, RegistrationManagedElsewhereError, RegistrationInUseError: It may not be used.
    """
    if not presented.is_valid_at(now):
        raise ExistingCertificateExpiredError("The certificate of the registration is not valid at this time.")
    found = registrations.find_by_key(connection, tenant_id, presented.key_digest)
    if found is None or found.certificate != presented.pem:
        found = _vouched_for(connection, tenant_id, presented, chain, now)
    if not found.is_enabled:
        raise RegistrationDisabledError(f"The registration {found.device_id} is disabled.")
    if found.manager is not None:
        raise RegistrationManagedElsewhereError(
            f"The registration {found.device_id} is managed by another manager: {found.manager}."
        )
    targets.lock(connection)  # two that claim it at once do so one after the other
    device = devices.find(connection, found.device_id)
    if device is not None and device.state is not DeviceState.RETIRED:
        raise RegistrationInUseError(f"The registration {found.device_id} is in use by a device.")
    return found


def _vouched_for(
    connection: Connection,
    tenant_id: TenantId,
    presented: ExistingCertificate,
    chain: Sequence[x509.Certificate],
    now: datetime,
) -> ExistingRegistration:
    trusted = [
        read_directory_authority(each.value)
        for each in trusted_authorities.list_of_kind(connection, tenant_id, AuthorityKind.DIRECTORY)
    ]
    if not is_issued_by(presented, chain, trusted, now):
        raise ExistingCertificateUntrustedError(
            "The certificate of the registration was neither imported nor issued by an authority that is trusted here."
        )
    names = presented.named_devices()
    found = registrations.find(connection, tenant_id, next(iter(names))) if len(names) == 1 else None
    if found is None:
        raise RegistrationUnknownError("The certificate names no registration of this directory.")
    return found


def _check(display_name: str, manager: str | None) -> None:
    if not is_name(display_name):
        raise InvalidRegistrationError("A device's name has 1 to 256 plain characters.", member="displayName")
    if manager is not None and not is_name(manager, LONGEST_MANAGER):
        raise InvalidRegistrationError(
            f"A management type has 1 to {LONGEST_MANAGER} plain characters.", member="managementType"
        )
