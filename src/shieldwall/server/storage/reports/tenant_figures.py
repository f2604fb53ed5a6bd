"""Figures of all tenants at once, for the one view that crosses tenants: numbers, never what they were counted from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection, bindparam, case, func, literal_column, select

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events.alerts import Severity
from shieldwall.server.storage.inventory.inventory_queries import Health
from shieldwall.server.storage.tables.device_schema import alerts
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory

Key = TypeVar("Key")

_IN_TOUCH: Final = func.coalesce(check_ins.c.last_check_in, devices.c.registered_at)
_HEALTH: Final = case(
    (bindparam("inactive_before", type_=check_ins.c.last_check_in.type) > _IN_TOUCH, Health.INACTIVE.value),
    (inventory.c.impaired, Health.IMPAIRED.value),
    else_=Health.ACTIVE.value,
).label("health")
_DEVICES: Final = (
    select(
        inventory.c.tenant_id,
        inventory.c.state,
        inventory.c.enrollment_code,
        _HEALTH,
        func.count(),
        func.max(check_ins.c.last_check_in),
    )
    .join(devices, devices.c.id == inventory.c.device_id)
    .join(check_ins, check_ins.c.device_id == inventory.c.device_id)
    .where(inventory.c.state != DeviceState.RETIRED.value)
    .group_by(inventory.c.tenant_id, inventory.c.state, inventory.c.enrollment_code, literal_column("health"))
)
_ALERTS: Final = (
    select(alerts.c.tenant_id, alerts.c.severity, func.count())
    .where(alerts.c.resolved_at.is_(None))
    .group_by(alerts.c.tenant_id, alerts.c.severity)
)


@dataclass(slots=True, kw_only=True)
class Figures:
    """How many devices of a tenant there are, retired ones left out, and how many alerts are open."""

    states: dict[DeviceState, int] = field(default_factory=dict)
    enrollment_codes: dict[int, int] = field(default_factory=dict)
    health: dict[Health, int] = field(default_factory=dict)
    open_alerts: dict[Severity, int] = field(default_factory=dict)
    last_check_in: datetime | None = None

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return sum(self.states.values())


def of_all(connection: Connection, *, inactive_before: datetime) -> Mapping[TenantId, Figures]:
    """Count for every tenant that has anything to count."""
    found: dict[TenantId, Figures] = {}
    for row in connection.execute(_DEVICES, {"inactive_before": inactive_before}):
        tenant, state, code, health, count, last = row
        figures = found.setdefault(TenantId(tenant), Figures())
        _add(figures.states, DeviceState(state), count)
        _add(figures.enrollment_codes, int(code), count)
        _add(figures.health, Health(health), count)
        figures.last_check_in = max(filter(None, (figures.last_check_in, last)), default=None)
    for tenant, severity, count in connection.execute(_ALERTS):
        _add(found.setdefault(TenantId(tenant), Figures()).open_alerts, Severity(severity), count)
    return found


def _add(counts: dict[Key, int], key: Key, count: int) -> None:
    counts[key] = counts.get(key, 0) + count
