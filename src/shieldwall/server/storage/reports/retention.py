"""What has been kept long enough: found and removed in portions, so that no transaction holds up others for long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, or_, select, tuple_

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory.inventory_phases import NOT_ACTIVE
from shieldwall.server.storage.tables.device_schema import alerts, attestation_challenges, device_events, sightings
from shieldwall.server.storage.tables.identity_schema import authorization_codes, device_codes, refresh_tokens
from shieldwall.server.storage.tables.report_schema import cached_reports, export_jobs, machine_actions
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory, membership_events, used_nonces


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """Up to which moment rows of a kind are old."""

    now: datetime
    sightings: datetime
    events: datetime
    history: datetime


def silent(connection: Connection, tenant_id: TenantId, before: datetime, most: int) -> tuple[DeviceId, ...]:
    """Return devices, not retired, that were not in touch since a moment, at most so many."""
    query = _silent(tenant_id, before).order_by(devices.c.id).limit(most).with_for_update(of=check_ins)
    return tuple(map(DeviceId, connection.scalars(query)))


def retired(connection: Connection, tenant_id: TenantId, before: datetime, most: int) -> tuple[DeviceId, ...]:
    """Return devices that retired before a moment, at most so many."""
    query = _retired(tenant_id, before).order_by(devices.c.id).limit(most)
    return tuple(map(DeviceId, connection.scalars(query)))


def successors(connection: Connection, tenant_id: TenantId, after: str, most: int) -> tuple[DeviceId, ...]:
    """Return devices, not retired, that seem to follow another one, ordered by id."""
    query = (
        select(devices.c.id)
        .where(
            devices.c.tenant_id == tenant_id,
            devices.c.replaces.is_not(None),
            devices.c.state.in_([DeviceState.PENDING.value, DeviceState.ACTIVE.value]),
            devices.c.id > after,
        )
        .order_by(devices.c.id)
        .limit(most)
    )
    return tuple(map(DeviceId, connection.scalars(query)))


def count_silent(connection: Connection, tenant_id: TenantId, before: datetime) -> int:
    """Return how many ``silent`` would find in the end."""
    return connection.scalars(_silent(tenant_id, before).with_only_columns(func.count())).one()


def count_retired(connection: Connection, tenant_id: TenantId, before: datetime) -> int:
    """Return how many ``retired`` would find in the end."""
    return connection.scalars(_retired(tenant_id, before).with_only_columns(func.count())).one()


def count_old(connection: Connection, tenant_id: TenantId, horizon: Horizon) -> Mapping[str, int]:
    """Return how many rows of each kind are old."""
    return {
        table.name: connection.scalars(select(func.count()).select_from(table).where(old)).one()
        for table, old in _old(tenant_id, horizon).items()
    }


def remove_old(connection: Connection, tenant_id: TenantId, horizon: Horizon, most: int) -> Mapping[str, int]:
    """Remove old rows, at most so many of each kind; return how many of which."""
    removed = {}
    for table, old in _old(tenant_id, horizon).items():
        few = select(*table.primary_key).where(old).limit(most)
        mine = table.c.tenant_id == tenant_id
        removed[table.name] = connection.execute(delete(table).where(mine, _key(table).in_(few))).rowcount
    return removed


def _key(table: Table) -> ColumnElement[Any]:
    columns = tuple(table.primary_key)
    return columns[0] if len(columns) == 1 else tuple_(*columns)


def _old(tenant_id: TenantId, horizon: Horizon) -> Mapping[Table, ColumnElement[bool]]:
    conditions = {
        used_nonces: used_nonces.c.expires_at <= horizon.now,
        attestation_challenges: attestation_challenges.c.expires_at <= horizon.now,
        sightings: sightings.c.at < horizon.sightings,
        device_events: device_events.c.at < horizon.events,
        membership_events: membership_events.c.at < horizon.history,
        alerts: alerts.c.resolved_at < horizon.history,
        authorization_codes: authorization_codes.c.expires_at <= horizon.now,
        refresh_tokens: refresh_tokens.c.expires_at <= horizon.now,
        device_codes: device_codes.c.expires_at <= horizon.now,
        cached_reports: cached_reports.c.expires_at <= horizon.now,
        export_jobs: export_jobs.c.expires_at <= horizon.now,
        machine_actions: machine_actions.c.created_at < horizon.history,
    }
    return {table: (table.c.tenant_id == tenant_id) & old for table, old in conditions.items()}


def _silent(tenant_id: TenantId, before: datetime) -> Select[Any]:
    return (
        select(devices.c.id)
        .join(check_ins, check_ins.c.device_id == devices.c.id)
        .where(
            check_ins.c.tenant_id == tenant_id,
            devices.c.state != DeviceState.RETIRED.value,
            or_(check_ins.c.last_check_in < before, check_ins.c.last_check_in.is_(None)),
            or_(check_ins.c.last_check_in.is_not(None), devices.c.registered_at < before),
        )
    )


def _retired(tenant_id: TenantId, before: datetime) -> Select[Any]:
    return (
        select(devices.c.id)
        .join(inventory, inventory.c.device_id == devices.c.id)
        .where(
            inventory.c.tenant_id == tenant_id,
            inventory.c.state == DeviceState.RETIRED.value,
            NOT_ACTIVE,
            devices.c.retired_at < before,
        )
    )
