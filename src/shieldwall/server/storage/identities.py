"""Identities: the few columns of a device that every signed request needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select

from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.server.storage.device_schema import spent_keys
from shieldwall.server.storage.schema import devices

_FORMER: Final = select(spent_keys.c.device_id, spent_keys.c.tenant_id, spent_keys.c.public_key).where(
    spent_keys.c.thumbprint == bindparam("thumbprint"), spent_keys.c.public_key.is_not(None)
)
_BY_KEY: Final = select(devices.c.id, devices.c.tenant_id, devices.c.public_key).where(
    devices.c.key_thumbprint == bindparam("thumbprint")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a key belongs to. It never changes: a key belongs to one device for ever."""

    id: DeviceId
    tenant_id: TenantId
    key_thumbprint: KeyThumbprint
    public_key: bytes


def find_by_key(connection: Connection, thumbprint: KeyThumbprint) -> Identity | None:
    """Return whom this key belongs to or belonged to, or ``None``. Whether it may still act is not said here.

    A key that was given up by a request of its own is known for as long as that request may be repeated.
    """
    row = connection.execute(_BY_KEY, {"thumbprint": thumbprint}).one_or_none()
    if row is None:
        row = connection.execute(_FORMER, {"thumbprint": thumbprint}).one_or_none()
    if row is None:
        return None
    return Identity(id=DeviceId(row[0]), tenant_id=TenantId(row[1]), key_thumbprint=thumbprint, public_key=row[2])
