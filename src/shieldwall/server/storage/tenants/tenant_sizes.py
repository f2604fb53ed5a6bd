"""Whether a tenant is large, told by looking no further than it matters; and how its rows are best gone through.

Where nothing but a pass over rows answers what is asked, a tenant that has most of them is passed over at once, in the
order in which they lie: following an index would take half as long again. A small one among many is found by its index.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, literal, select

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.statements.bulk import unsought
from shieldwall.server.storage.tables.schema import inventory

FEW_ROWS: Final = 10_000
"""So many rows are read by an index in a few milliseconds, however they lie."""


def is_large(connection: Connection, tenant_id: TenantId, beyond: int) -> bool:
    """Whether a tenant has more than so many devices, retired ones counted; costs no more than that many."""
    return _are_more(connection, inventory.c.tenant_id, tenant_id, beyond)


def gone_through(connection: Connection, column: Column[Any], tenant_id: TenantId) -> ColumnElement[bool]:
    """Say whose rows are meant, of a table that has one for each device and is gone through for them."""
    is_passed_over = _are_more(connection, column, tenant_id, FEW_ROWS)
    return (unsought(column) if is_passed_over else column) == tenant_id


def _are_more(connection: Connection, column: Column[Any], tenant_id: TenantId, beyond: int) -> bool:
    some = select(literal(1)).where(column == tenant_id).select_from(column.table).limit(1).offset(beyond)
    return connection.scalars(some).first() is not None
