"""What a tenant has begun with, asked so that it costs the same in a large tenant as in a new one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.tables.schema import assignments, devices, onboarding_packages
from shieldwall.server.storage.tenants import tenant_sizes

SMALL: Final = 5_000


def some_devices(
    connection: Connection, tenant_id: TenantId, most: int, only: Sequence[ColumnElement[bool]] = ()
) -> tuple[DeviceId, ...]:
    """Return the ids of some devices that are not retired: all of them where there are no more than ``most``."""
    query = (
        select(devices.c.id)
        .where(devices.c.tenant_id == tenant_id, devices.c.state != DeviceState.RETIRED.value, *only)
        .order_by(devices.c.id)
        .limit(most)
    )
    return tuple(map(DeviceId, connection.scalars(query)))


def has_devices(connection: Connection, tenant_id: TenantId) -> bool:
    """Say whether a tenant has, or had, any device."""
    return connection.scalars(select(exists().where(devices.c.tenant_id == tenant_id))).one()


def has_usable_package(connection: Connection, tenant_id: TenantId, now: datetime) -> bool:
    """Say whether devices can onboard now with any package of a tenant."""
    package = onboarding_packages.c
    usable = exists().where(
        package.tenant_id == tenant_id,
        package.revoked_at.is_(None),
        package.not_before <= now,
        package.not_after > now,
        package.uses < package.max_uses,
    )
    return connection.scalars(select(usable)).one()


def has_assignments(connection: Connection, tenant_id: TenantId) -> bool:
    """Say whether any policy of a tenant is assigned to anybody."""
    return connection.scalars(select(exists().where(assignments.c.tenant_id == tenant_id))).one()


def is_small(connection: Connection, tenant_id: TenantId, most: int = SMALL) -> bool:
    """Say whether a tenant has no more devices than a page may look at one by one whenever somebody opens it."""
    return not tenant_sizes.is_large(connection, tenant_id, most)
