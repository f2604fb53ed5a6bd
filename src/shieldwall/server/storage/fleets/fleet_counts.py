"""Counts over a whole fleet, each in one pass: what the figures of a tenant are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select, text

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.inventory.inventory_queries import Health
from shieldwall.server.storage.tables.device_schema import alerts
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory

MOST_VERSIONS: Final = 50
"""Versions of agents that are counted each by itself."""
_PATIENCE: Final = "SET LOCAL statement_timeout = '10min'"


@dataclass(slots=True)
class Counts:
    """Devices, retired ones left out, by what they are, and how many settings on how many were repaired or drifted."""

    platforms: Counter[str] = field(default_factory=Counter)
    states: Counter[DeviceState] = field(default_factory=Counter)
    health: Counter[Health] = field(default_factory=Counter)
    managed_by: Counter[str] = field(default_factory=Counter)
    enrollment_codes: Counter[int] = field(default_factory=Counter)
    devices: int = 0
    repaired_devices: int = 0
    repaired_settings: int = 0
    drifted_devices: int = 0
    drifted_settings: int = 0


def be_patient(connection: Connection) -> None:
    """Let the statements of this transaction take long: they are no page's, and nobody waits for them."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_PATIENCE))


def count_devices(
    connection: Connection,
    tenant_id: TenantId,
    *,
    inactive_before: datetime,
    only: tuple[ColumnElement[bool], ...] = (),
) -> Counts:
    """Count the devices; ``only`` are conditions on the rows of ``inventory``."""
    mine = (inventory.c.tenant_id == tenant_id, *only)
    found = Counts()
    # In the order of their index, so that the rows are counted as they come.
    columns = (
        inventory.c.os_type,
        inventory.c.state,
        inventory.c.managed_by,
        inventory.c.enrollment_code,
        inventory.c.impaired,
        inventory.c.repaired,
        inventory.c.drifted,
    )
    query = select(*columns, func.count()).where(*mine).group_by(*columns)
    for platform, state, managed_by, code, impaired, repaired, drifted, number in connection.execute(query):
        if state == DeviceState.RETIRED.value:
            continue
        found.platforms[platform] += number
        found.states[DeviceState(state)] += number
        found.managed_by[managed_by] += number
        found.enrollment_codes[code] += number
        found.health[Health.IMPAIRED if impaired else Health.ACTIVE] += number
        found.devices += number
        found.repaired_devices += number if repaired else 0
        found.drifted_devices += number if drifted else 0
        found.repaired_settings += number * repaired
        found.drifted_settings += number * drifted
    for impaired, number in connection.execute(_silent(tenant_id, inactive_before).where(*mine)):
        found.health[Health.IMPAIRED if impaired else Health.ACTIVE] -= number
        found.health[Health.INACTIVE] += number
    return found


def count_agent_versions(
    connection: Connection, tenant_id: TenantId, only: tuple[ColumnElement[bool], ...] = ()
) -> Mapping[str, int]:
    """Count the devices by the version of their agent, the commonest ones first and at most fifty of them."""
    count = func.count().label("devices")
    query = (
        select(inventory.c.agent_version, count)
        .where(inventory.c.tenant_id == tenant_id, inventory.c.state != DeviceState.RETIRED.value, *only)
        .group_by(inventory.c.agent_version)
        .order_by(count.desc(), inventory.c.agent_version)
        .limit(MOST_VERSIONS)
    )
    return {row.agent_version: row.devices for row in connection.execute(query)}


def count_open_alerts(
    connection: Connection, tenant_id: TenantId, only: tuple[ColumnElement[bool], ...] = ()
) -> Mapping[Severity, int]:
    """Count the open alerts by severity; ``only`` are conditions on their rows."""
    query = (
        select(alerts.c.severity, func.count())
        .where(alerts.c.tenant_id == tenant_id, alerts.c.resolved_at.is_(None), *only)
        .group_by(alerts.c.severity)
    )
    return {Severity(severity): count for severity, count in connection.execute(query)}


def count_in_touch(
    connection: Connection,
    tenant_id: TenantId,
    since: datetime,
    until: datetime,
    only: tuple[ColumnElement[bool], ...] = (),
) -> int:
    """Count the devices whose last check-in lies between two moments; ``only`` are conditions on ``check_ins``."""
    query = (
        select(func.count())
        .select_from(check_ins)
        .where(
            check_ins.c.tenant_id == tenant_id,
            check_ins.c.last_check_in >= since,
            check_ins.c.last_check_in < until,
            *only,
        )
    )
    return connection.scalars(query).one()


def _silent(tenant_id: TenantId, inactive_before: datetime) -> Select[Any]:
    """Count the devices that were not in touch, by whether they are impaired: they are few, and found by an index."""
    mine = check_ins.c.tenant_id == tenant_id
    silent = select(check_ins.c.device_id).where(mine, check_ins.c.last_check_in < inactive_before)
    never = (
        select(check_ins.c.device_id)
        .join(devices, devices.c.id == check_ins.c.device_id)
        .where(mine, check_ins.c.last_check_in.is_(None), devices.c.registered_at < inactive_before)
    )
    inactive = silent.union_all(never).subquery()
    return (
        select(inventory.c.impaired, func.count())
        .select_from(inactive)
        .join(inventory, inventory.c.device_id == inactive.c.device_id)
        .where(inventory.c.state != DeviceState.RETIRED.value)
        .group_by(inventory.c.impaired)
    )
