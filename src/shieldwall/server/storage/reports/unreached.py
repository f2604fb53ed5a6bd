"""Active devices that no policy reaches: their target holds no items, or they have none yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, or_, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.check_ins import standings, targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.bulk import is_one_of, unsought
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.schema import check_ins, inventory

_FEW: Final = 100_000


def list_unreached(connection: Connection, tenant_id: TenantId, page: Page, *, few: int = _FEW) -> tuple[DeviceId, ...]:
    """Return one page of them, ordered by id; ``page.where`` speaks of ``inventory``.

    Where they are few, they are found by their targets; else going through all devices meets enough of them soon.
    """
    in_use = targets.get_many(connection, tenant_id, standings.targets_in_use(connection, tenant_id))
    empty = sorted(digest for digest, target in in_use.items() if not target.items)
    unreached = or_(check_ins.c.target_digest.is_(None), check_ins.c.target_digest.in_(empty))
    by_target = select(check_ins.c.device_id).where(check_ins.c.tenant_id == tenant_id, unreached).limit(few + 1)
    named = list(connection.scalars(by_target))
    if len(named) > few:  # the tenant is asked for in a way that no index answers, so that devices come in their order
        return _page(connection, (unsought(check_ins.c.tenant_id) == tenant_id, unreached), page)
    found: tuple[DeviceId, ...] = ()
    for some in portions(sorted(each for each in named if each > (page.after or ""))):
        rest = replace(page, after=None, size=page.size - len(found))
        found += _page(connection, (is_one_of(connection, check_ins.c.device_id, some),), rest)
        if len(found) >= page.size:
            break
    return found


def _page(connection: Connection, conditions: Sequence[ColumnElement[bool]], page: Page) -> tuple[DeviceId, ...]:
    query = (
        select(check_ins.c.device_id)
        .join(inventory, inventory.c.device_id == check_ins.c.device_id)
        .where(*conditions, inventory.c.state == DeviceState.ACTIVE.value)
    )
    return tuple(DeviceId(row[0]) for row in paging.rows(connection, query, page, check_ins.c.device_id))
