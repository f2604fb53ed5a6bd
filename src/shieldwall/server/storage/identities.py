"""Identities: the few columns of a device that every signed request needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select

from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.server.storage.records import DeviceState
from shieldwall.server.storage.schema import devices

_BY_KEY: Final = select(devices.c.id, devices.c.tenant_id, devices.c.public_key).where(
    devices.c.key_thumbprint == bindparam("thumbprint")
)
_STATE: Final = select(devices.c.state).where(devices.c.id == bindparam("device"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a key belongs to. It never changes: a key belongs to one device for ever."""

    id: DeviceId
    tenant_id: TenantId
    public_key: bytes


def find_by_key(connection: Connection, thumbprint: KeyThumbprint) -> Identity | None:
    """Return whom this key belongs to, or ``None``. Whether that device may still act is not said here."""
    row = connection.execute(_BY_KEY, {"thumbprint": thumbprint}).one_or_none()
    if row is None:
        return None
    return Identity(id=DeviceId(row[0]), tenant_id=TenantId(row[1]), public_key=row[2])


def state_of(connection: Connection, device_id: DeviceId) -> DeviceState | None:
    """Return the state a device is in, or ``None`` when there is no such device."""
    state = connection.execute(_STATE, {"device": device_id}).scalar_one_or_none()
    return None if state is None else DeviceState(state)
