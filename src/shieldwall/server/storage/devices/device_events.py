"""What happened on devices, as they told it: the newest of each device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.bulk import is_one_of
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.device_schema import device_events

MOST_KEPT: Final = 2_000
"""Of one device: what is older goes when more comes, so that none can fill the disk."""
ORDINARY: Final = 2_048
"""So many characters of details an event has at most, on average; more is weighed."""
ROOM: Final = MOST_KEPT * ORDINARY
"""So many characters of details are kept of one device where they are weighed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One event. ``details`` is JSON: an object of texts."""

    id: str
    tenant_id: TenantId
    device_id: DeviceId
    at: datetime
    received_at: datetime
    kind: str
    severity: str
    title: str
    subject: str
    details: str
    times: int = 1


def add_new(
    connection: Connection,
    device_id: DeviceId,
    events: Sequence[EventRecord],
    *,
    most: int = MOST_KEPT,
    room: int = ROOM,
) -> tuple[EventRecord, ...]:
    """Add those events of a device that are not there yet, and return them; its oldest go when it has too many.

    So they do when unusually long ones come, and all together need more ``room``.
    Whoever calls holds the device's row of check-ins, so no other request of the same device comes between.
    """
    distinct = {event.id: event for event in events}
    there = frozenset(
        connection.scalars(select(device_events.c.id).where(is_one_of(connection, device_events.c.id, [*distinct])))
    )
    new = tuple(event for event in distinct.values() if event.id not in there)
    if not new:
        return ()
    connection.execute(insert(device_events), [columns_of(event) for event in new])
    newest_first = (device_events.c.at.desc(), device_events.c.id)
    of_device = device_events.c.device_id == device_id
    beyond = select(device_events.c.id).where(of_device).order_by(*newest_first).offset(most)
    connection.execute(delete(device_events).where(device_events.c.id.in_(beyond)))
    if sum(len(event.details) for event in new) > ORDINARY * len(new):
        until = func.sum(func.length(device_events.c.details)).over(order_by=newest_first).label("until")
        weighed = select(device_events.c.id, until).where(of_device).subquery()
        connection.execute(
            delete(device_events).where(device_events.c.id.in_(select(weighed.c.id).where(weighed.c.until > room)))
        )
    return new


def find(connection: Connection, tenant_id: TenantId, event_id: str) -> EventRecord | None:
    """Return an event of a tenant, or ``None``."""
    query = select(device_events).where(device_events.c.tenant_id == tenant_id, device_events.c.id == event_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _event(row)


def list_events(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[EventRecord, ...]:
    """Return one page of a tenant's events, ordered by id unless the page says otherwise."""
    query = select(device_events).where(device_events.c.tenant_id == tenant_id)
    return tuple(map(_event, paging.rows(connection, query, page, device_events.c.id)))


def newest_of_device(
    connection: Connection, tenant_id: TenantId, device_id: DeviceId, most: int, *, before: datetime | None = None
) -> tuple[EventRecord, ...]:
    """Return what happened on a device last, the newest first; with ``before`` what happened until then."""
    until = () if before is None else (device_events.c.at < before,)
    query = (
        select(device_events)
        .where(device_events.c.tenant_id == tenant_id, device_events.c.device_id == device_id, *until)
        .order_by(device_events.c.at.desc(), device_events.c.id)
        .limit(most)
    )
    return tuple(map(_event, connection.execute(query)))


def _event(row: Row[Any]) -> EventRecord:
    return EventRecord(**row._asdict())
