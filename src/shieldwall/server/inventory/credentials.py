"""The certificate and the key of a device that is here already: renewed, and changed.

The gateway has verified the request with the key that the device had when it was asked; the caller has taken its turn
in the same transaction, so that key is the device's present one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import follow, hold_device
from shieldwall.server.directory.registration import DuplicateKeyError, spend_key
from shieldwall.server.inventory.joining import find_join
from shieldwall.server.inventory.nonces import BadNonceError, NonceSealer
from shieldwall.server.storage.device_records import SPEAKING, Device, DeviceState
from shieldwall.server.storage.devices import device_states, devices, spent_keys
from shieldwall.server.storage.devices.device_states import Credential
from shieldwall.server.storage.onboarding import nonces
from shieldwall.trust.certificate_request import CertificateRequestFacts
from shieldwall.trust.device_certificate import read_certificate
from shieldwall.trust.device_key import public_key_bytes, public_key_from_bytes, public_key_info, thumbprint

RENEWAL_GRACE: Final = timedelta(days=365)
"""For so long after its end a certificate may still be renewed."""
KEY_CHANGED: Final = "keyChange"
"""Why a key is spent that gave way to another one of its device."""


class DeviceQuarantinedError(ShieldwallError):
    """The identity of the device was seen on two machines; neither may change it."""

    code = "deviceQuarantined"
    remedy = (
        "An administrator finds out which machine is the right one: onboard the other one anew with a package, then "
        "release this device from quarantine."
    )


class Issuer(Protocol):
    """What is needed of the signer."""

    def issue_certificate(self, *, spki: bytes, tenant_id: TenantId, device_id: DeviceId) -> str:
        """Certify that a key is a device's; the answer is PEM."""
        ...


def present(connection: Connection, acting: Acting, issuer: Issuer, device_id: DeviceId) -> str | None:
    """Return the certificate of a device whose request is repeated.

    One that the server has forgotten (``held_certificates``) is issued anew; ``None`` where it may not be renewed.

    Raises:
        NotFoundError: There is no such device.
    """
    device = devices.get(connection, device_id)
    if device.certificate or device.certificate_expires_at is None:
        return device.certificate
    if device.state not in SPEAKING or device.certificate_expires_at + RENEWAL_GRACE <= acting.clock.now():
        return None
    return renew(connection, acting, issuer, device_id)


def renew(connection: Connection, acting: Acting, issuer: Issuer, device_id: DeviceId) -> str:
    """Give a device a new certificate for its present key, and return it."""
    device = devices.get(connection, device_id)
    certificate = issuer.issue_certificate(
        spki=public_key_info(public_key_from_bytes(device.public_key)), tenant_id=device.tenant_id, device_id=device.id
    )
    expires_at = read_certificate(certificate).not_after
    device_states.put_certificate(
        connection, device.id, device.key_thumbprint, certificate=certificate, expires_at=expires_at
    )
    acting.record(
        connection, "device.certificateRenewed", "device", device.id, name=device.display_name, until=_day(expires_at)
    )
    return certificate


def change_key(
    connection: Connection,
    acting: Acting,
    device_id: DeviceId,
    certified: CertificateRequestFacts,
    *,
    issuer: Issuer,
    sealer: NonceSealer,
) -> str:
    """Let a device be known by the key of its certificate request from now on; the old one is spent at once.

    Raises:
        DeviceQuarantinedError: It is in quarantine.
        BadNonceError: The nonce of the request is not ours, too old, or used.
        DuplicateKeyError: The new key is, or was once, somebody's identity.
    """
    device, now = hold_device(connection, acting, device_id), acting.clock.now()
    if device.state is DeviceState.QUARANTINED:
        raise DeviceQuarantinedError("The identity of this device was seen on two machines.")
    nonce = sealer.open(certified.nonce, device.tenant_id, now)
    nonces.remove_expired(connection, now)
    if not nonces.use(connection, device.tenant_id, nonce.digest, nonce.expires_at):
        raise BadNonceError("The nonce has been used.")
    new = thumbprint(certified.public_key)
    if (
        devices.find_by_key(connection, new) is not None
        or spent_keys.find(connection, new) is not None
        or find_join(connection, device.tenant_id, certified) is not None
    ):
        raise DuplicateKeyError("The new key has been an identity before.")
    credential = _credential(issuer, device, new, certified)
    spend_key(connection, acting, device, KEY_CHANGED, is_repeatable=True)
    try:
        device_states.change_key(connection, device.id, device.key_thumbprint, credential)
    except IntegrityError as error:  # somebody else registered with it at the same moment
        raise DuplicateKeyError("The new key has been an identity before.") from error
    acting.record(
        connection,
        "device.keyChanged",
        "device",
        device.id,
        name=device.display_name,
        former=device.key_thumbprint,
        present=new,
    )
    follow(connection, acting, device)  # nothing is attested of the new key
    return credential.certificate


def changed_before(connection: Connection, device_id: DeviceId, old: KeyThumbprint, new: KeyThumbprint) -> str | None:
    """Return the certificate of a key change that has been made, ``None`` where this one has not."""
    device, spent = devices.find(connection, device_id), spent_keys.find(connection, old)
    is_made = (
        device is not None
        and spent is not None
        and (spent.device_id, spent.reason) == (device_id, KEY_CHANGED)
        and device.key_thumbprint == new
    )
    return (device.certificate or None) if device is not None and is_made else None


def _credential(issuer: Issuer, device: Device, new: KeyThumbprint, certified: CertificateRequestFacts) -> Credential:
    certificate = issuer.issue_certificate(spki=certified.spki, tenant_id=device.tenant_id, device_id=device.id)
    return Credential(
        key_thumbprint=new,
        public_key=public_key_bytes(certified.public_key),
        certificate=certificate,
        certificate_expires_at=read_certificate(certificate).not_after,
    )


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
