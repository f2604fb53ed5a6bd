"""Challenges that wait for the TPM of a device: at most one per device, gone once it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.registration import AttestationChallenge, AttestationOffer
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.device_schema import attestation_challenges


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenChallenge:
    """What a device showed and what it was asked; the secret itself is not kept."""

    device_id: DeviceId
    tenant_id: TenantId
    offer: AttestationOffer
    challenge: AttestationChallenge
    secret_digest: Digest
    expires_at: datetime


def put(connection: Connection, challenge: OpenChallenge) -> None:
    """Ask a device; what it was asked before counts no more."""
    remove(connection, challenge.device_id)
    connection.execute(
        insert(attestation_challenges).values(
            columns_of(
                challenge,
                offer=strict_json.encode(challenge.offer).decode(),
                challenge=strict_json.encode(challenge.challenge).decode(),
            )
        )
    )


def find(connection: Connection, device_id: DeviceId) -> OpenChallenge | None:
    """Return what a device is asked, ``None`` where nothing is open."""
    row = connection.execute(
        select(attestation_challenges).where(attestation_challenges.c.device_id == device_id)
    ).one_or_none()
    if row is None:
        return None
    columns = row._asdict()
    parsed = {
        "offer": strict_json.decode(columns["offer"].encode(), AttestationOffer),
        "challenge": strict_json.decode(columns["challenge"].encode(), AttestationChallenge),
    }
    return OpenChallenge(**(columns | parsed))


def remove(connection: Connection, device_id: DeviceId) -> bool:
    """Close a device's challenge; say whether one was open."""
    return (
        connection.execute(
            delete(attestation_challenges).where(attestation_challenges.c.device_id == device_id)
        ).rowcount
        > 0
    )
