"""Certificates of devices that were kept for a repeat: half of what a row of ``devices`` takes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory

_FORGOTTEN: Final = ""
_FORGET: Final = (
    devices.update()
    .where(devices.c.id == bindparam("device"), devices.c.certificate == bindparam("held"))
    .values(certificate=_FORGOTTEN)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A device, the certificate that is kept of it (or ``""``), and when it was last in touch."""

    device_id: DeviceId
    certificate: str
    last_check_in: datetime | None


def portion(connection: Connection, tenant_id: TenantId, after: str, most: int) -> tuple[Kept, ...]:
    """Return the next devices of a tenant, ordered by id."""
    query = (
        select(inventory.c.device_id, devices.c.certificate, check_ins.c.last_check_in)
        .join(devices, devices.c.id == inventory.c.device_id)
        .join(check_ins, check_ins.c.device_id == inventory.c.device_id)
        .where(inventory.c.tenant_id == tenant_id, inventory.c.device_id > after)
        .order_by(inventory.c.device_id)
        .limit(most)
    )
    return tuple(
        Kept(device_id=DeviceId(device), certificate=certificate, last_check_in=seen)
        for device, certificate, seen in connection.execute(query)
    )


def forget(connection: Connection, held: Collection[Kept]) -> int:
    """Forget these certificates, but for those that are others by now; return how many were looked at."""
    connection.execute(_FORGET, [{"device": each.device_id, "held": each.certificate} for each in held])
    return len(held)
