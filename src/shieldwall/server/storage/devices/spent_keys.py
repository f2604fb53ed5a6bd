"""Keys that were an identity once: nobody registers with one again, also after its device is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.device_schema import spent_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentKey:
    """A key whose device got another one or was deleted. ``reason``: keyChange, promoted, reonboarded, deleted.

    ``public_key`` is its point where a repeat of the request that gave it up must still be verified.
    """

    thumbprint: KeyThumbprint
    tenant_id: TenantId
    device_id: DeviceId
    reason: str
    spent_at: datetime
    public_key: bytes | None = None


def add(connection: Connection, spent: SpentKey) -> None:
    """Remember a key for ever; one that is remembered already stays as it is."""
    connection.execute(insert_ignoring(connection, spent_keys), columns_of(spent))


def find(connection: Connection, thumbprint: KeyThumbprint) -> SpentKey | None:
    """Return what became of this key, ``None`` where it was never spent."""
    row = connection.execute(select(spent_keys).where(spent_keys.c.thumbprint == thumbprint)).one_or_none()
    return None if row is None else SpentKey(**row._asdict())
