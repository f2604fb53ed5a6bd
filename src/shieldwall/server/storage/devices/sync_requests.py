"""Devices that are asked to check in, in the order in which they were asked."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, literal, select, tuple_

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.tables.columns import Moment
from shieldwall.server.storage.tables.schema import check_ins

_ORDER: Final = (check_ins.c.sync_requested_at, check_ins.c.device_id)


class Asked(NamedTuple):
    """A device that is asked to check in, and has not come yet."""

    at: datetime
    device_id: DeviceId
    tenant_id: TenantId


def asked(connection: Connection, since: datetime, after: Asked | None, most: int) -> tuple[Asked, ...]:
    """Return devices that were asked since a moment, at most so many; the next page begins behind the last of one."""
    query = (
        select(*_ORDER, check_ins.c.tenant_id)
        .where(check_ins.c.sync_requested_at.is_not(None), check_ins.c.sync_requested_at >= since)
        .order_by(*_ORDER)
        .limit(most)
    )
    if after is not None:
        query = query.where(tuple_(*_ORDER) > tuple_(literal(after.at, Moment), after.device_id))
    return tuple(Asked(*row) for row in connection.execute(query))
