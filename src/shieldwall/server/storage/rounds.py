"""Rounds through the devices of a tenant that bring those up to date that do not check in by themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.aims_schema import catching_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Where a round is: from ``start`` to the last id, then from the first to ``start``; ``place`` was passed last.

    ``behind`` is how many devices it may still have to bring up to date, ``None`` while nobody has counted them.
    ``holder`` is the process that is at it; another takes over after ``held_until``.
    """

    version: int
    place: str = ""
    start: str = ""
    is_second_half: bool = False
    behind: int | None = None
    holder: str | None = None
    held_until: datetime | None = None


def find(connection: Connection, tenant_id: TenantId) -> Round | None:
    """Return the round of a tenant, ``None`` where there is none."""
    row = connection.execute(select(catching_up).where(catching_up.c.tenant_id == tenant_id)).mappings().one_or_none()
    if row is None:
        return None
    return Round(**{name: value for name, value in row.items() if name != "tenant_id"})


def put(connection: Connection, tenant_id: TenantId, to_keep: Round) -> None:
    """Keep where the round of a tenant is. The caller holds ``targets.lock``."""
    columns = asdict(to_keep)
    changed = connection.execute(update(catching_up).where(catching_up.c.tenant_id == tenant_id).values(columns))
    if changed.rowcount == 0:
        connection.execute(insert(catching_up).values(tenant_id=tenant_id, **columns))


def remove(connection: Connection, tenant_id: TenantId) -> None:
    """Forget the round of a tenant: it is done."""
    connection.execute(delete(catching_up).where(catching_up.c.tenant_id == tenant_id))
