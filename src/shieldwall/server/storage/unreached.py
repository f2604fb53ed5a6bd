"""Active devices that no policy reaches: their target holds no items, or they have none yet."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage import paging, standings, targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.schema import check_ins, inventory


def list_unreached(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[DeviceId, ...]:
    """Return one page of them, ordered by id; ``page.where`` speaks of ``inventory``."""
    in_use = targets.get_many(connection, tenant_id, standings.targets_in_use(connection, tenant_id))
    empty = sorted(digest for digest, target in in_use.items() if not target.items)
    query = (
        select(check_ins.c.device_id)
        .join(inventory, inventory.c.device_id == check_ins.c.device_id)
        .where(
            check_ins.c.tenant_id == tenant_id,
            inventory.c.state == DeviceState.ACTIVE.value,
            or_(check_ins.c.target_digest.is_(None), check_ins.c.target_digest.in_(empty)),
        )
    )
    return tuple(DeviceId(row[0]) for row in paging.rows(connection, query, page, check_ins.c.device_id))
