"""Which devices of a tenant a page of a listing shows: asked of the narrow rows, in any order.

A page may speak of the columns of ``inventory``, ``devices`` and ``check_ins``; only what it speaks of is read.

Where few devices fit, they are looked for first and put in order by themselves: going through all devices, or all
check-ins, in the order wanted would meet them late. Where many fit, it meets enough of them soon, by the index of the
order. Neither engine can know which of the two it is, so a query names the tenant once, in the table whose index it
shall follow, and leaves no other index to follow.

Who is silent stands in the index of check-ins alone: it is asked first, and says of few who they are, of more that they
are many. A query that left both indexes to follow would meet all check-ins of that time for each device. Where nothing
else is asked and they come in the order of their check-ins, that index alone has the page.

Who made a device stands in its whole record, and in the text that searches look through, which is much shorter: that
is asked first too.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, select
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList
from sqlalchemy.sql.visitors import iterate

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.inventory.inventory_search import few_found, found_at_once, holding
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging, planning
from shieldwall.server.storage.statements.bounds import bounded
from shieldwall.server.storage.statements.bulk import is_numbered, is_one_of, where_few
from shieldwall.server.storage.tables.folding import Folded
from shieldwall.server.storage.tables.schema import check_ins, devices, inventory

FEW: Final = 5_000
"""So many devices are put in order by themselves."""
_SEARCHED: Final = frozenset({devices.c.manufacturer, devices.c.model})
"""What of a device's whole record ``inventory_rows.searched`` has as well."""


def list_ids(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[DeviceId, ...]:
    """Return one page of the ids of a tenant's devices, retired ones included, in the order that the page asks for."""
    planning.at_once(connection)
    asked, parts = _tables(*page.where), _parts(page.where)
    contact = [each for each in parts if _tables(each) == {check_ins}]
    ordered_by = _tables(*(term.expression for term in page.order))
    if ordered_by == {check_ins} and page.tally is None and parts and all(map(_is_a_time, parts)):
        return _rows(connection, _in_contact(tenant_id, ()), page, check_ins)
    known = _few(connection, _in_contact(tenant_id, contact)) if contact else None
    if known is None and (searched := _searched(parts)):
        known = _few_searched(connection, tenant_id, searched)
    mine = inventory.c.tenant_id == tenant_id if known is None else is_one_of(connection, inventory.c.device_id, known)
    fitting = _joined(asked).where(mine, *page.where)
    if page.tally is not None:
        page.tally.total = paging.count(connection, fitting)
        page = replace(page, tally=None)
    query = _joined(asked | ordered_by)
    leading = inventory
    is_contact = bool(contact) and len(contact) == len(parts)
    few = known if is_contact else _few(connection, fitting) if page.where else None
    if few == []:
        return ()
    if few is not None:  # of this tenant, as the query above said
        if ordered_by == {check_ins}:
            leading, query = check_ins, select(check_ins.c.device_id)
        page = replace(page, where=(is_one_of(connection, leading.c.device_id, few),))
    else:
        leading = check_ins if page.order and check_ins in _tables(page.order[0].expression) else inventory
        query = query.where(leading.c.tenant_id == tenant_id)
    return _rows(connection, query, page, leading)


def _rows(connection: Connection, query: Select[Any], page: Page, leading: Table) -> tuple[DeviceId, ...]:
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


def _is_a_time(condition: ColumnElement[bool]) -> bool:
    """Whether a condition compares the last check-in, so that its index has whom it is about one after the other."""
    return isinstance(condition, BinaryExpression) and condition.left is check_ins.c.last_check_in


def _searched(parts: Iterable[ColumnElement[bool]]) -> list[str]:
    """Return texts that a search finds of every device that fits: names of makers and models that are asked for.

    Letters of ASCII alone: others may be folded otherwise there.
    """
    found: list[str] = []
    for each in parts:
        if isinstance(each, BinaryExpression) and each.operator is operator.eq and isinstance(each.left, Folded):
            (column,), value = each.left.clauses, getattr(each.right, "value", None)
            if column in _SEARCHED and isinstance(value, str) and value and value.isascii():
                found.append(value)
    return found


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
        return where_few(connection, query, FEW)


def _few_searched(connection: Connection, tenant_id: TenantId, texts: Sequence[str]) -> list[str] | None:
    """Return the devices of a tenant that have all of these texts, where these are few."""
    with bounded(connection):
        numbers = few_found(connection, found_at_once(connection, tenant_id, holding(texts, exactly=True)), FEW)
        if not numbers:
            return numbers if numbers is None else []
        those = is_numbered(connection, inventory.c.number, numbers)
        return list(connection.scalars(select(inventory.c.device_id).where(those)))


def _tables(*expressions: ColumnElement[Any]) -> frozenset[Table]:
    return frozenset(
        each.table
        for expression in expressions
        for each in iterate(expression)
        if isinstance(each, Column) and isinstance(each.table, Table)
    )
