"""Identities: the few columns of a device that every signed request needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.tables.device_schema import spent_keys
from shieldwall.server.storage.tables.schema import devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a key belongs to. It never changes: a key belongs to one device for ever."""

    id: DeviceId
    tenant_id: TenantId
    key_thumbprint: KeyThumbprint
    public_key: bytes


def find_by_keys(connection: Connection, thumbprints: Collection[KeyThumbprint]) -> dict[KeyThumbprint, Identity]:
    """Return whom these keys belong to or belonged to, those that are known. Whether they may still act is not said.

    A key that was given up by a request of its own is known for as long as that request may be repeated.
    """
    present = select(devices.c.key_thumbprint, devices.c.id, devices.c.tenant_id, devices.c.public_key).where(
        is_one_of(connection, devices.c.key_thumbprint, thumbprints)
    )
    found = {row[0]: _identity(*row) for row in connection.execute(present)}
    if missing := [each for each in thumbprints if each not in found]:
        former = select(
            spent_keys.c.thumbprint, spent_keys.c.device_id, spent_keys.c.tenant_id, spent_keys.c.public_key
        ).where(is_one_of(connection, spent_keys.c.thumbprint, missing), spent_keys.c.public_key.is_not(None))
        found |= {row[0]: _identity(*row) for row in connection.execute(former)}
    return found


def _identity(thumbprint: str, device: str, tenant: str, public_key: bytes) -> Identity:
    return Identity(
        id=DeviceId(device), tenant_id=TenantId(tenant), key_thumbprint=KeyThumbprint(thumbprint), public_key=public_key
    )
