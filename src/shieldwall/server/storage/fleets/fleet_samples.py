"""How tenants stood over time: a row for each moment at which somebody counted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, delete, select

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.portal_schema import fleet_samples


def add(connection: Connection, tenant_id: TenantId, at: datetime, figures: str) -> None:
    """Keep what was counted at a moment; what was counted first at one moment stays."""
    row = {"tenant_id": tenant_id, "at": at, "figures": figures}
    connection.execute(insert_ignoring(connection, fleet_samples), row)


def since(connection: Connection, tenant_id: TenantId, moment: datetime) -> tuple[tuple[datetime, str], ...]:
    """Return what was counted from a moment on, the oldest first."""
    query = (
        select(fleet_samples.c.at, fleet_samples.c.figures)
        .where(fleet_samples.c.tenant_id == tenant_id, fleet_samples.c.at >= moment)
        .order_by(fleet_samples.c.at)
    )
    return tuple((row.at, row.figures) for row in connection.execute(query))


def moments(connection: Connection, tenant_id: TenantId) -> tuple[datetime, ...]:
    """Return every moment of which something is kept, the oldest first."""
    query = select(fleet_samples.c.at).where(fleet_samples.c.tenant_id == tenant_id).order_by(fleet_samples.c.at)
    return tuple(connection.scalars(query))


def remove(connection: Connection, tenant_id: TenantId, ended: Collection[datetime]) -> None:
    """Let go of what was counted at these moments."""
    for few in portions(sorted(ended)):
        mine = fleet_samples.c.tenant_id == tenant_id
        connection.execute(delete(fleet_samples).where(mine, fleet_samples.c.at.in_(few)))
