"""Views of lists that people keep for themselves: filters, columns and order, under a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.portal_schema import saved_views


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """One view; ``query`` is what stands in the address of the page after the question mark."""

    id: str
    tenant_id: TenantId
    person_id: str
    page: str
    name: str
    query: str
    created_at: datetime


def of_person(connection: Connection, tenant_id: TenantId, person_id: str, page: str) -> tuple[SavedView, ...]:
    """Return the views of a page that a person keeps, by name."""
    query = (
        select(saved_views)
        .where(saved_views.c.tenant_id == tenant_id, saved_views.c.person_id == person_id, saved_views.c.page == page)
        .order_by(func.lower(saved_views.c.name), saved_views.c.id)
    )
    return tuple(SavedView(**row._asdict()) for row in connection.execute(query))


def put(connection: Connection, view: SavedView) -> None:
    """Keep a view; one of the same name is kept no longer."""
    same = (
        saved_views.c.tenant_id == view.tenant_id,
        saved_views.c.person_id == view.person_id,
        saved_views.c.page == view.page,
        saved_views.c.name == view.name,
    )
    changed = connection.execute(update(saved_views).where(*same).values(query=view.query))
    if not changed.rowcount:
        connection.execute(insert(saved_views).values(columns_of(view)))


def remove(connection: Connection, tenant_id: TenantId, person_id: str, view_id: str) -> bool:
    """Forget one of a person's views; return whether there was one."""
    theirs = (saved_views.c.tenant_id == tenant_id, saved_views.c.person_id == person_id)
    return connection.execute(delete(saved_views).where(*theirs, saved_views.c.id == view_id)).rowcount == 1
