"""Rounds through the devices of a tenant that bring those up to date that do not check in by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.tables.aims_schema import catching_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """How far a round is.

    ``behind`` is how many devices it may still have to bring up to date, ``None`` while nobody has counted them.
    ``holder`` is the process that is at it; another takes over after ``held_until``.
    """

    version: int
    behind: int | None = None
    holder: str | None = None
    held_until: datetime | None = None


_KEPT: Final = tuple(each.name for each in fields(Round))
_FROM_THE_BEGINNING: Final[Mapping[str, Any]] = MappingProxyType({"place": "", "start": "", "is_second_half": False})
"""For programs of the release before, which go through all devices in the order of their ids."""


def find(connection: Connection, tenant_id: TenantId) -> Round | None:
    """Return the round of a tenant, ``None`` where there is none."""
    row = connection.execute(select(catching_up).where(catching_up.c.tenant_id == tenant_id)).mappings().one_or_none()
    if row is None:
        return None
    return Round(**{name: row[name] for name in _KEPT})


def put(connection: Connection, tenant_id: TenantId, to_keep: Round) -> None:
    """Keep how far the round of a tenant is. The caller holds ``targets.lock``."""
    columns = {**asdict(to_keep), **_FROM_THE_BEGINNING}
    changed = connection.execute(update(catching_up).where(catching_up.c.tenant_id == tenant_id).values(columns))
    if changed.rowcount == 0:
        connection.execute(insert(catching_up).values(tenant_id=tenant_id, **columns))


def remove(connection: Connection, tenant_id: TenantId) -> None:
    """Forget the round of a tenant: it is done."""
    connection.execute(delete(catching_up).where(catching_up.c.tenant_id == tenant_id))
