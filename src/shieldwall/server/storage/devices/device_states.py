"""Changes of a device that must not be lost to, or undo, what somebody else writes to its row at the same moment.

Each is one statement that says what the row must be before. ``devices.put`` leaves these columns of the key alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, update

from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState
from shieldwall.server.storage.devices import devices as records
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.tables.schema import devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A device's public key and the certificate that says whose it is."""

    key_thumbprint: KeyThumbprint
    public_key: bytes
    certificate: str
    certificate_expires_at: datetime


def move(
    connection: Connection, device_id: DeviceId, *, of: Collection[DeviceState], to: DeviceState, reason: str | None
) -> bool:
    """Take a device from one of these states to another; say whether it was in one of them."""
    moved = connection.execute(
        update(devices)
        .where(devices.c.id == device_id, devices.c.state.in_([state.value for state in of]))
        .values(state=to.value, state_reason=reason)
    )
    return _listed(connection, device_id, moved.rowcount)


def put_certificate(
    connection: Connection, device_id: DeviceId, key: KeyThumbprint, *, certificate: str, expires_at: datetime
) -> bool:
    """Give the key of a device a new certificate; say whether that is its present key."""
    renewed = connection.execute(
        update(devices)
        .where(devices.c.id == device_id, devices.c.key_thumbprint == key)
        .values(certificate=certificate, certificate_expires_at=expires_at)
    )
    return renewed.rowcount == 1


def change_key(connection: Connection, device_id: DeviceId, old: KeyThumbprint, new: Credential) -> bool:
    """Let a device be known by another key, of which nothing is attested; say whether ``old`` was its present one.

    The new key has to be nobody's, or the database refuses it (``IntegrityError``).
    """
    changed = connection.execute(
        update(devices)
        .where(devices.c.id == device_id, devices.c.key_thumbprint == old)
        .values(
            key_thumbprint=new.key_thumbprint,
            public_key=new.public_key,
            certificate=new.certificate,
            certificate_expires_at=new.certificate_expires_at,
            attestation_level=AttestationLevel.NONE.value,
        )
    )
    return _listed(connection, device_id, changed.rowcount)


def attest(
    connection: Connection, device_id: DeviceId, key: KeyThumbprint, level: AttestationLevel, ek_hash: Digest
) -> bool:
    """Say how sure it is that a device's key lives in the TPM of this hash; say whether that is its present key."""
    attested = connection.execute(
        update(devices)
        .where(devices.c.id == device_id, devices.c.key_thumbprint == key)
        .values(attestation_level=level.value, tpm_ek_hash=ek_hash)
    )
    return _listed(connection, device_id, attested.rowcount)


def _listed(connection: Connection, device_id: DeviceId, rows: int) -> bool:
    if rows:
        inventory_rows.keep(connection, records.get(connection, device_id))
    return rows == 1
