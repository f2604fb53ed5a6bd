"""What tenants say of tamper protection, and the devices on which troubleshooting is allowed for a while."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace
from sqlalchemy import Connection, select, update

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.tables.schema import devices, tenants


def settings(connection: Connection, tenant_id: TenantId) -> ProtectionSettings:
    """Return what a tenant says. Raises: NotFoundError."""
    text = connection.execute(select(tenants.c.tamper_protection).where(tenants.c.id == tenant_id)).scalar_one_or_none()
    if text is None:
        raise NotFoundError(f"There is no tenant {tenant_id}.")
    return strict_json.decode(text.encode(), ProtectionSettings)


def put_settings(connection: Connection, tenant_id: TenantId, wanted: ProtectionSettings) -> None:
    """Replace what a tenant says. Raises: NotFoundError."""
    text = strict_json.encode(wanted).decode()
    changed = connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(tamper_protection=text))
    if changed.rowcount == 0:
        raise NotFoundError(f"There is no tenant {tenant_id}.")


def hand_over_exclusion(connection: Connection, tenant_id: TenantId, former: DeviceId, *heirs: DeviceId) -> None:
    """Except the heirs of a device that is gone from protection, if it was; never whoever gets its id by chance.

    The caller holds ``targets.lock``.
    """
    found = settings(connection, tenant_id)
    if found.is_excluded(former):
        excluded = tuple(sorted({*found.excluded, *heirs} - {former}))
        put_settings(connection, tenant_id, replace(found, excluded=excluded))


def set_window(connection: Connection, device_id: DeviceId, until: datetime | None) -> None:
    """Allow troubleshooting on a device until a moment, or no more."""
    connection.execute(update(devices).where(devices.c.id == device_id).values(troubleshooting_until=until))


def ended_windows(connection: Connection, tenant_id: TenantId, now: datetime) -> frozenset[DeviceId]:
    """Return the devices whose time for troubleshooting is over and not cleared away yet."""
    query = select(devices.c.id).where(devices.c.tenant_id == tenant_id, devices.c.troubleshooting_until <= now)
    return frozenset(map(DeviceId, connection.scalars(query)))


def clear_windows(connection: Connection, tenant_id: TenantId, now: datetime) -> None:
    """Clear away every time for troubleshooting that is over."""
    connection.execute(
        update(devices)
        .where(devices.c.tenant_id == tenant_id, devices.c.troubleshooting_until <= now)
        .values(troubleshooting_until=None)
    )
