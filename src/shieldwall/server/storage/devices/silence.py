"""Devices that were not in touch for long, by the index of their last check-ins: the fleet is not gone through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.tables.schema import check_ins, inventory


@dataclass(frozen=True, slots=True)
class Silent:
    """A device and when it was last in touch; ``None`` where it never was."""

    device_id: DeviceId
    last_check_in: datetime | None


def count_between(
    connection: Connection,
    tenant_id: TenantId,
    since: datetime | None,
    until: datetime,
    only: Sequence[ColumnElement[bool]] = (),
    *,
    most: int,
) -> int:
    """Count the devices that were last in touch in this time, up to a bound; retired ones are left out.

    Without ``since`` these are all before ``until``. ``only`` are conditions on the rows of ``inventory``.
    """
    when = [check_ins.c.last_check_in < until]
    if since is not None:
        when.append(check_ins.c.last_check_in >= since)
    return _count(connection, _silent(tenant_id, only).where(*when), most)


def count_never(
    connection: Connection,
    tenant_id: TenantId,
    registered_before: datetime,
    only: Sequence[ColumnElement[bool]] = (),
    *,
    most: int,
) -> int:
    """Count the devices that were never in touch though they have been registered since then, up to a bound."""
    return _count(connection, _silent(tenant_id, only).where(_never(registered_before)), most)


def list_silent(connection: Connection, tenant_id: TenantId, before: datetime, page: Page) -> tuple[Silent, ...]:
    """Return one page of the devices that were not in touch since then: those that never were, then the longest silent.

    ``page.where`` speaks of ``inventory``; the place of a page is the last check-in of the row before it.
    """
    query = _silent(tenant_id, ()).where(or_(check_ins.c.last_check_in < before, _never(before)))
    ordered = Page(
        size=page.size,
        after=page.after,
        where=page.where,
        order=(OrderTerm(check_ins.c.last_check_in, nullable=True),),
        place=page.place,
    )
    rows = paging.rows(connection, query, ordered, check_ins.c.device_id)
    return tuple(Silent(DeviceId(row.device_id), row.last_check_in) for row in rows)


def _silent(tenant_id: TenantId, only: Sequence[ColumnElement[bool]]) -> Select[Any]:
    return (
        select(check_ins.c.device_id, check_ins.c.last_check_in)
        .join(inventory, inventory.c.device_id == check_ins.c.device_id)
        .where(check_ins.c.tenant_id == tenant_id, inventory.c.state != DeviceState.RETIRED.value, *only)
    )


def _never(registered_before: datetime) -> ColumnElement[bool]:
    return and_(check_ins.c.last_check_in.is_(None), inventory.c.registered_at < registered_before)


def _count(connection: Connection, query: Select[Any], most: int) -> int:
    return connection.scalars(select(func.count()).select_from(query.limit(most).subquery())).one()
