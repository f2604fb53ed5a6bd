"""The outbox: everything that happened, in the order in which it was committed, until all who want it have had it.

What happens in a transaction is noted with its connection and written as the last thing before the commit, under one
lock that is held until the commit is done. So numbers are given out in the order of commits and become visible in that
order: whoever has read up to a number has missed nothing below it, however long another transaction took. Being last,
the lock can be part of no deadlock. SQLite has one writer anyway.

What a savepoint takes back takes its events along.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, delete, event, func, insert, or_, select

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.tables.events_schema import outbox

_NOTED: Final = "shieldwall_events"
_MARKS: Final = "shieldwall_event_marks"
_LOCK: Final = select(func.pg_advisory_xact_lock(0x5348_4F42))
"""The number means "outbox" to us and nothing to PostgreSQL."""
_NEWEST: Final[Select[int]] = select(func.coalesce(func.max(outbox.c.sequence), 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. ``kind`` reads ``area.whatHappened``, ``details`` is a JSON object.

    ``sequence`` is zero until the transaction commits.
    """

    id: str
    tenant_id: TenantId
    at: datetime
    kind: str
    details: str
    sequence: int = 0


def told(*, actor: str, kind: str, object_id: str, details: Any, **more: str | None) -> str:
    """Write the details of an event, in the one shape that all of them have: who did what to which object."""
    return strict_json.encode(
        {"actor": actor, **more, "object": {"kind": kind, "id": object_id}, "details": details}
    ).decode()


def note(connection: Connection, happened: Event) -> None:
    """Let others hear of something once, and only if, this transaction is committed."""
    connection.info.setdefault(_NOTED, []).append(happened)


def begin(connection: Connection) -> None:
    """Forget what an earlier transaction of the same connection noted and did not commit."""
    connection.info.pop(_NOTED, None)
    connection.info.pop(_MARKS, None)


def flush(connection: Connection) -> None:
    """Write what was noted. Call it last, right before the commit."""
    noted: list[Event] | None = connection.info.pop(_NOTED, None)
    if not noted:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK)
    rows = [
        {
            "sequence": sequence,
            "tenant_id": each.tenant_id,
            "id": each.id,
            "at": each.at,
            "kind": each.kind,
            "details": each.details,
        }
        for sequence, each in enumerate(noted, start=newest(connection) + 1)
    ]
    connection.execute(insert(outbox), rows)


def follow_savepoints(engine: Engine) -> None:
    """Let a savepoint that is rolled back take along what was noted since. They end innermost first."""

    @event.listens_for(engine, "savepoint")
    def mark(connection: Connection, _name: str) -> None:
        connection.info.setdefault(_MARKS, []).append(len(connection.info.get(_NOTED, ())))

    @event.listens_for(engine, "release_savepoint")
    def keep(connection: Connection, _name: str, _context: Any) -> None:
        connection.info[_MARKS].pop()

    @event.listens_for(engine, "rollback_savepoint")
    def forget(connection: Connection, _name: str, _context: Any) -> None:
        del connection.info.get(_NOTED, [])[connection.info[_MARKS].pop() :]


def newest(connection: Connection) -> int:
    """Return the number of the newest event, zero where nothing ever happened."""
    return connection.execute(_NEWEST).scalar_one()


def read(
    connection: Connection,
    after: int,
    most: int,
    *,
    tenant_id: TenantId | None = None,
    patterns: Collection[str] = ("*",),
    up_to: int | None = None,
) -> tuple[Event, ...]:
    """Return the events after a number, in order, at most so many: of one tenant, or of all; of kinds that match.

    A pattern is a kind, ``area.*`` or ``*``.
    """
    query = select(outbox).where(outbox.c.sequence > after).order_by(outbox.c.sequence).limit(most)
    if tenant_id is not None:
        query = query.where(outbox.c.tenant_id == tenant_id)
    if up_to is not None:
        query = query.where(outbox.c.sequence <= up_to)
    if "*" not in patterns:
        query = query.where(_matching(patterns))
    return tuple(map(_event, connection.execute(query)))


def count(
    connection: Connection, after: int, up_to: int, *, tenant_id: TenantId | None, patterns: Collection[str]
) -> int:
    """Return how many events that match lie after one number, up to and including another."""
    query = select(func.count()).select_from(outbox).where(outbox.c.sequence > after, outbox.c.sequence <= up_to)
    if tenant_id is not None:
        query = query.where(outbox.c.tenant_id == tenant_id)
    if "*" not in patterns:
        query = query.where(_matching(patterns))
    return connection.scalars(query).one()


def find(connection: Connection, tenant_id: TenantId, event_id: str) -> Event | None:
    """Return an event of a tenant that is still kept, or ``None``."""
    query = select(outbox).where(outbox.c.id == event_id, outbox.c.tenant_id == tenant_id).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _event(row)


def last_before(connection: Connection, tenant_id: TenantId, moment: datetime) -> int:
    """Return the greatest number such that everything of a tenant up to it happened before a moment.

    The newest event of all is never in it, because the next number is counted from that one.
    """
    own = outbox.c.tenant_id == tenant_id
    young = select(outbox.c.sequence).where(own, outbox.c.at >= moment).order_by(outbox.c.sequence).limit(1)
    first_young = connection.execute(young).scalar_one_or_none()
    last = newest(connection)
    return (last if first_young is None else min(first_young, last)) - 1


def remove(connection: Connection, tenant_id: TenantId, up_to: int, most: int) -> int:
    """Remove the oldest events of a tenant up to and including a number, at most so many; return how many."""
    own = (outbox.c.tenant_id == tenant_id, outbox.c.sequence <= up_to)
    few = select(outbox.c.sequence).where(*own).order_by(outbox.c.sequence).limit(most)
    return connection.execute(delete(outbox).where(*own, outbox.c.sequence.in_(few))).rowcount


def _matching(patterns: Collection[str]) -> ColumnElement[bool]:
    whole = [each for each in patterns if not each.endswith(".*")]
    areas = [outbox.c.kind.startswith(each[:-1], autoescape=True) for each in patterns if each.endswith(".*")]
    return or_(outbox.c.kind.in_(whole), *areas)


def _event(row: Row[Any]) -> Event:
    return Event(**row._asdict())
