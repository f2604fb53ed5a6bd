"""Which devices of a tenant a page of a listing shows: asked of the narrow rows, in any order.

A page may speak of the columns of ``inventory``, ``devices`` and ``check_ins``; only what it speaks of is read.

Where few devices fit, they are looked for first and put in order by themselves: going through all devices, or all
check-ins, in the order wanted would meet them late. Where many fit, it meets enough of them soon, by the index of the
order. Neither engine can know which of the two it is, so a query names the tenant once, in the table whose index it
shall follow, and leaves no other index to follow.

Who is silent stands in the index of check-ins alone: it is asked first, and says of few who they are, of more that they
are many. A query that left both indexes to follow would meet all check-ins of that time for each device.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, select
from sqlalchemy.sql.elements import BooleanClauseList
from sqlalchemy.sql.visitors import iterate

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage import paging
from shieldwall.server.storage.bounds import bounded
from shieldwall.server.storage.bulk import is_one_of
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.schema import check_ins, devices, inventory

FEW: Final = 5_000
"""So many devices are put in order by themselves."""


def list_ids(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[DeviceId, ...]:
    """Return one page of the ids of a tenant's devices, retired ones included, in the order that the page asks for."""
    asked = _tables(*page.where)
    contact = [each for each in _parts(page.where) if _tables(each) == {check_ins}]
    known = _few(connection, _in_contact(tenant_id, contact)) if contact else None
    mine = inventory.c.tenant_id == tenant_id if known is None else is_one_of(connection, inventory.c.device_id, known)
    fitting = _joined(asked).where(mine, *page.where)
    if page.tally is not None:
        page.tally.total = paging.count(connection, fitting)
        page = replace(page, tally=None)
    query = _joined(asked | _tables(*(term.expression for term in page.order)))
    leading = inventory
    are_many = bool(contact) and known is None and len(contact) == len(_parts(page.where))
    few = _few(connection, fitting) if page.where and not are_many else None
    if few == []:
        return ()
    if few is not None:  # of this tenant, as the query above said
        page = replace(page, where=(is_one_of(connection, inventory.c.device_id, few),))
    else:
        leading = check_ins if page.order and check_ins in _tables(page.order[0].expression) else inventory
        query = query.where(leading.c.tenant_id == tenant_id)
    return tuple(DeviceId(row[0]) for row in paging.rows(connection, query, page, leading.c.device_id))


def _joined(tables: frozenset[Table]) -> Select[Any]:
    query = select(inventory.c.device_id)
    for table, identity in ((devices, devices.c.id), (check_ins, check_ins.c.device_id)):
        if table in tables:
            query = query.join(table, identity == inventory.c.device_id)
    return query


def _in_contact(tenant_id: TenantId, conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Select the devices of a tenant whose check-ins are so; each has its row in the inventory."""
    return select(check_ins.c.device_id).where(check_ins.c.tenant_id == tenant_id, *conditions)


def _parts(conditions: Iterable[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """Return what has to be so altogether, each by itself."""
    found: list[ColumnElement[bool]] = []
    for each in conditions:
        if isinstance(each, BooleanClauseList) and each.operator is operator.and_:
            found += _parts(each.clauses)
        else:
            found.append(each)
    return found


def _few(connection: Connection, query: Select[Any]) -> list[str] | None:
    """Return the devices that fit, where these are few."""
    with bounded(connection):
        found = list(connection.scalars(query.limit(FEW + 1)))
    return None if len(found) > FEW else found


def _tables(*expressions: ColumnElement[Any]) -> frozenset[Table]:
    return frozenset(
        each.table
        for expression in expressions
        for each in iterate(expression)
        if isinstance(each, Column) and isinstance(each.table, Table)
    )
