"""Alerts: what an administrator should look at, one row for the same thing at the same device until it is resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Connection, Row, case, func, insert, select, update

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.device_schema import alerts

MOST_TIMES: Final = 2**31 - 1
"""Counted to at most: more is as much to look at, and PostgreSQL holds no more in an integer."""


class Severity(StrEnum):
    """How soon somebody should look."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something happened ``times`` times, last at ``last_at``. ``details`` is JSON."""

    id: str
    tenant_id: TenantId
    device_id: DeviceId | None
    kind: str
    severity: Severity
    title: str
    details: str
    first_at: datetime
    last_at: datetime
    times: int = 1
    resolved_at: datetime | None = None
    resolved_by: str | None = None


def raise_alert(connection: Connection, alert: Alert) -> None:
    """Raise an alert; where the same kind of the same device is open, that one counts on with the newest details.

    Those who follow events hear of a new one; one that counts on is nothing new.
    """
    again = connection.execute(
        update(alerts)
        .where(
            alerts.c.tenant_id == alert.tenant_id,
            alerts.c.device_id == alert.device_id,
            alerts.c.kind == alert.kind,
            alerts.c.title == alert.title,
            alerts.c.resolved_at.is_(None),
        )
        .values(last_at=alert.last_at, times=_counted_on(alert.times), details=alert.details)
    )
    if again.rowcount == 0:
        connection.execute(insert(alerts).values(columns_of(alert, severity=alert.severity.value)))
        outbox.note(connection, _raised(alert))


def find(connection: Connection, tenant_id: TenantId, alert_id: str) -> Alert | None:
    """Return an alert of a tenant, or ``None``."""
    query = select(alerts).where(alerts.c.tenant_id == tenant_id, alerts.c.id == alert_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _alert(row)


def list_alerts(
    connection: Connection, tenant_id: TenantId, page: Page, *, is_open: bool | None = None
) -> tuple[Alert, ...]:
    """Return one page of a tenant's alerts, ordered by id unless the page says otherwise.

    The open ones alone, or the others, where that is asked.
    """
    query = select(alerts).where(alerts.c.tenant_id == tenant_id)
    if is_open is not None:
        query = query.where(alerts.c.resolved_at.is_(None) if is_open else alerts.c.resolved_at.is_not(None))
    return tuple(map(_alert, paging.rows(connection, query, page, alerts.c.id)))


def newest_open(
    connection: Connection, tenant_id: TenantId, most: int, only: Sequence[ColumnElement[bool]] = ()
) -> tuple[Alert, ...]:
    """Return the open alerts of a tenant that were raised last, the newest first."""
    query = (
        select(alerts)
        .where(alerts.c.tenant_id == tenant_id, alerts.c.resolved_at.is_(None), *only)
        .order_by(alerts.c.last_at.desc(), alerts.c.id)
        .limit(most)
    )
    return tuple(map(_alert, connection.execute(query)))


def open_of_device(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> frozenset[tuple[str, str]]:
    """Return kind and title of each open alert about a device."""
    query = select(alerts.c.kind, alerts.c.title).where(
        alerts.c.tenant_id == tenant_id, alerts.c.device_id == device_id, alerts.c.resolved_at.is_(None)
    )
    return frozenset((row.kind, row.title) for row in connection.execute(query))


def count_open(connection: Connection, tenant_id: TenantId, only: Sequence[ColumnElement[bool]] = ()) -> int:
    """Return how many alerts of a tenant are open; ``only`` are conditions on their rows."""
    query = select(func.count()).where(alerts.c.tenant_id == tenant_id, alerts.c.resolved_at.is_(None), *only)
    return connection.scalars(query).one()


def resolve(connection: Connection, alert_id: str, *, by: str, at: datetime) -> bool:
    """Close an alert; say whether it was open."""
    closed = connection.execute(
        update(alerts)
        .where(alerts.c.id == alert_id, alerts.c.resolved_at.is_(None))
        .values(resolved_at=at, resolved_by=by[:256])
    )
    return closed.rowcount == 1


def resolve_of_device(
    connection: Connection, tenant_id: TenantId, device_id: DeviceId, kind: str, *, by: str, at: datetime
) -> None:
    """Close the open alerts of one kind about a device: what they were about has been settled."""
    closed = connection.scalars(
        update(alerts)
        .where(
            alerts.c.tenant_id == tenant_id,
            alerts.c.device_id == device_id,
            alerts.c.kind == kind,
            alerts.c.resolved_at.is_(None),
        )
        .values(resolved_at=at, resolved_by=by[:256])
        .returning(alerts.c.id)
    )
    for alert_id in closed.all():
        told = outbox.told(actor=by, kind="alert", object_id=alert_id, details={"category": kind, "device": device_id})
        event_id = str(uuid5(UUID(alert_id), "resolved"))
        outbox.note(
            connection, outbox.Event(id=event_id, tenant_id=tenant_id, at=at, kind="alert.resolved", details=told)
        )


def _counted_on(times: int) -> ColumnElement[int]:
    """Return how often it has happened by now; a sum beyond the most is never made, for making it would fail."""
    return case((alerts.c.times > MOST_TIMES - times, MOST_TIMES), else_=alerts.c.times + times)


def _alert(row: Row[Any]) -> Alert:
    columns = row._asdict()
    return Alert(**(columns | {"severity": Severity(columns["severity"])}))


def _raised(alert: Alert) -> outbox.Event:
    told = outbox.told(
        actor="server",
        kind="alert",
        object_id=alert.id,
        details={
            "category": alert.kind,
            "severity": alert.severity.value,
            "title": alert.title,
            "device": alert.device_id,
            "evidence": strict_json.decode_any(alert.details.encode()),
        },
    )
    return outbox.Event(id=alert.id, tenant_id=alert.tenant_id, at=alert.first_at, kind="alert.raised", details=told)
