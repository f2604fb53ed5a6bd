"""How far the sinks of the audit stream are. The rows belong to the home tenant."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, insert, select, update

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.tables.events_schema import stream_cursors


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCursor:
    """Everything up to ``cursor`` was written; ``missed`` events were forgotten before they could be."""

    tenant_id: TenantId
    stream: str
    cursor: int
    missed: int
    moved_at: datetime


def find(connection: Connection, tenant_id: TenantId, stream: str) -> StreamCursor | None:
    """Return the cursor of a sink, ``None`` where it never began."""
    query = select(stream_cursors).where(stream_cursors.c.tenant_id == tenant_id, stream_cursors.c.stream == stream)
    row = connection.execute(query).one_or_none()
    return None if row is None else StreamCursor(**row._asdict())


def find_many(connection: Connection, tenant_id: TenantId, streams: Collection[str]) -> tuple[StreamCursor, ...]:
    """Return the cursors of those sinks that have begun."""
    query = select(stream_cursors).where(stream_cursors.c.tenant_id == tenant_id, stream_cursors.c.stream.in_(streams))
    return tuple(StreamCursor(**row._asdict()) for row in connection.execute(query.order_by(stream_cursors.c.stream)))


def begin(connection: Connection, tenant_id: TenantId, stream: str, at: int, now: datetime) -> None:
    """Let a sink begin after this number."""
    connection.execute(
        insert(stream_cursors).values(tenant_id=tenant_id, stream=stream, cursor=at, missed=0, moved_at=now)
    )


def move(connection: Connection, before: StreamCursor, to: int, now: datetime) -> bool:
    """Move the cursor of a sink on; say whether it stood where it was thought to."""
    unmoved = and_(
        stream_cursors.c.tenant_id == before.tenant_id,
        stream_cursors.c.stream == before.stream,
        stream_cursors.c.cursor == before.cursor,
        stream_cursors.c.missed == before.missed,
    )
    moved = connection.execute(update(stream_cursors).where(unmoved).values(cursor=to, missed=0, moved_at=now))
    return moved.rowcount == 1


def note_missed(connection: Connection, cursor: StreamCursor, missed: int) -> None:
    """Note that events are forgotten now that a sink did not have. Its cursor stays: others' events lie in between."""
    own = and_(stream_cursors.c.tenant_id == cursor.tenant_id, stream_cursors.c.stream == cursor.stream)
    connection.execute(update(stream_cursors).where(own).values(missed=stream_cursors.c.missed + missed))
