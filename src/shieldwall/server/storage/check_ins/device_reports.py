"""What each device reported, whenever that was something else than before: the newest few of each device.

A check-in that says nothing new leaves nothing here, so a quiet fleet writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, literal, select

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.status import SettingState
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.inventory.inventory_rows import counts_in
from shieldwall.server.storage.tables.columns import Moment
from shieldwall.server.storage.tables.device_schema import device_reports
from shieldwall.server.storage.tables.schema import status_documents
from shieldwall.server.storage.tables.tenant_numbers import TENANT

MOST_KEPT: Final = 32
"""Of one device: a device that never says the same twice fills no disk."""
_OLDEST_KEPT: Final = (
    select(device_reports.c.at)
    .where(device_reports.c.device_id == bindparam("device"))
    .order_by(device_reports.c.at.desc())
    .offset(MOST_KEPT - 1)
    .limit(1)
    .scalar_subquery()
)
_FORGET: Final = delete(device_reports).where(
    device_reports.c.device_id == bindparam("device"), device_reports.c.at < _OLDEST_KEPT
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedThen:
    """What a report came to: how many settings in which state, put back, and not as they should be."""

    at: datetime
    states: Mapping[SettingState, int]
    repaired: int
    drifted: int


def add(connection: Connection, device_id: DeviceId, tenant_id: TenantId, digest: Digest, at: datetime) -> None:
    """Note that a device reported this, which is kept under its digest; its oldest report here goes for it."""
    told = select(
        literal(device_id),
        literal(at, Moment),
        literal(tenant_id, TENANT),
        status_documents.c.states,
        status_documents.c.repaired,
        status_documents.c.drifted,
    ).where(status_documents.c.tenant_id == tenant_id, status_documents.c.digest == digest)
    columns = ["device_id", "at", "tenant_id", "states", "repaired", "drifted"]
    connection.execute(insert_ignoring(connection, device_reports).from_select(columns, told))
    connection.execute(_FORGET, {"device": device_id})


def newest(
    connection: Connection, tenant_id: TenantId, device_id: DeviceId, *, before: datetime | None = None, most: int
) -> tuple[ReportedThen, ...]:
    """Return what a device reported last, newest first; with ``before`` what it reported until then."""
    query = select(device_reports).where(
        device_reports.c.tenant_id == tenant_id, device_reports.c.device_id == device_id
    )
    if before is not None:
        query = query.where(device_reports.c.at < before)
    return tuple(
        ReportedThen(at=row.at, states=counts_in(row.states), repaired=row.repaired, drifted=row.drifted)
        for row in connection.execute(query.order_by(device_reports.c.at.desc()).limit(most))
    )
