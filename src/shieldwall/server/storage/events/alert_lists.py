"""Alerts as people go through them: by what they are about, the last ones first, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.tables.device_schema import alerts
from shieldwall.server.storage.tables.folding import holds

_ESCAPE: Final = "\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts are meant; ``area`` is the first part of their kind, before the point where there is one."""

    is_open: bool | None = True
    severity: Severity | None = None
    area: str = ""
    device_id: DeviceId | None = None
    text: str = ""
    """Stands in their title, in any case."""


def newest(
    connection: Connection,
    tenant_id: TenantId,
    asked: AlertFilter,
    *,
    size: int,
    after: str | None = None,
    only: Sequence[ColumnElement[bool]] = (),
) -> tuple[Alert, ...]:
    """Return the alerts that fit, those that happened last first; those that follow ``after``, where it is given."""
    query = _fitting(select(alerts), tenant_id, asked, only)
    if after is not None:
        mine = (alerts.c.id == after, alerts.c.tenant_id == tenant_id)
        last = select(alerts.c.last_at).where(*mine).scalar_subquery()
        query = query.where(or_(alerts.c.last_at < last, and_(alerts.c.last_at == last, alerts.c.id > after)))
    rows = connection.execute(query.order_by(alerts.c.last_at.desc(), alerts.c.id).limit(size))
    return tuple(_alert(row._asdict()) for row in rows)


def count(
    connection: Connection,
    tenant_id: TenantId,
    asked: AlertFilter,
    *,
    most: int,
    only: Sequence[ColumnElement[bool]] = (),
) -> int:
    """Return how many alerts fit; no further than so many are counted."""
    some = _fitting(select(alerts.c.id), tenant_id, asked, only).limit(most).subquery()
    return connection.scalars(select(func.count()).select_from(some)).one()


def _fitting(
    query: Select[Any], tenant_id: TenantId, asked: AlertFilter, only: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    query = query.where(alerts.c.tenant_id == tenant_id, *only)
    if asked.is_open is not None:
        query = query.where(alerts.c.resolved_at.is_(None) if asked.is_open else alerts.c.resolved_at.is_not(None))
    if asked.severity is not None:
        query = query.where(alerts.c.severity == asked.severity.value)
    if asked.area:
        within = alerts.c.kind.startswith(f"{asked.area}.", autoescape=True, escape=_ESCAPE)
        query = query.where(or_(alerts.c.kind == asked.area, within))
    if asked.device_id is not None:
        query = query.where(alerts.c.device_id == asked.device_id)
    if asked.text:
        query = query.where(holds(alerts.c.title, asked.text))
    return query


def _alert(columns: dict[str, Any]) -> Alert:
    return Alert(**(columns | {"severity": Severity(columns["severity"])}))
