"""The fleet feed: which devices changed since somebody looked, for those who keep a fleet in memory.

A reader keeps its place and asks for what came behind it; then it reads what those devices are now. So it may be told
twice, and never too little. On PostgreSQL transactions commit in another order than they got their numbers, so a reader
moves its place only past what every transaction that still runs lies behind, and is given what is committed beyond that
at once: whoever has read all in one view of the database knows all that is in this view.

Readers keep a mark beside their place. A reader that comes back with what it had kept goes on only where the database
knows this mark: after a backup was brought back, it knows an older one, and the reader begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy import Text as TextType
from sqlalchemy import false as never
from sqlalchemy.dialects import postgresql, sqlite

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.statements.look_ups import LookUp
from shieldwall.server.storage.tables.fleet_schema import fleet_changes, fleet_readers
from shieldwall.server.storage.tables.fleet_triggers import What

__all__ = ["FleetChange", "Place", "Portion", "What", "end", "forget_reader", "keep_place", "place_of", "read", "trim"]

READ_WITHIN: Final = timedelta(days=1)
"""A reader that did not come for so long begins anew."""
FEW: Final = 10_000
"""So many changes are left where they are: forgetting them is not worth a write."""
_CHANGE: Final = fleet_changes.c
_READER: Final = fleet_readers.c
_LAST: Final = 2**63 - 1


class FleetChange(NamedTuple):
    """A device that changed, and in what; without a device, ``AIMS`` of the tenant."""

    number: int
    tenant_id: TenantId
    device_id: DeviceId
    what: What


@dataclass(frozen=True, slots=True)
class Place:
    """How far somebody has read: everything up to here, and beyond it what is named in ``ahead``."""

    xid: int
    number: int
    ahead: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Portion:
    """What changed behind a place, in order, and where to read on."""

    changes: tuple[FleetChange, ...]
    place: Place
    is_all: bool
    """Whether nothing is left that the connection can see."""


def end(connection: Connection) -> Place:
    """Return a place behind which all is that this connection cannot see yet."""
    if connection.dialect.name == "sqlite":
        given = connection.execute(text("SELECT max(seq) FROM sqlite_sequence WHERE name = 'fleet_changes'"))
        return Place(0, given.scalar_one() or 0)
    return Place(connection.execute(select(_OLDEST_RUNNING)).scalar_one() - 1, _LAST)


def read(connection: Connection, after: Place, most: int) -> Portion:
    """Return what changed behind a place, at most so much; the connection should have one view (``Database.read``)."""
    query = _CHANGES_OF_ONE_WRITER if _is_sqlite(connection) else _CHANGES
    named = {"xid": after.xid, "number": after.number, "most": most + len(after.ahead) + 1}
    found: list[FleetChange] = []
    place, ahead, is_all = after, set[int](), True
    for number, tenant_id, device_id, what, xid, is_settled in query.rows(connection, named):
        is_known = number in after.ahead
        if not is_known:
            if len(found) == most:
                is_all = False
                break
            found.append(FleetChange(number, TenantId(tenant_id), DeviceId(device_id), What(what)))
        if is_settled:
            place = Place(xid, number)
        else:
            ahead.add(number)
    if not is_all:  # what was not looked at again is still known
        ahead |= after.ahead
    return Portion(tuple(found), Place(place.xid, place.number, frozenset(ahead)), is_all)


def keep_place(
    connection: Connection, tenant_id: TenantId, name: str, place: Place, *, mark: str, now: datetime
) -> None:
    """Keep how far a reader is, so that what is behind its place is not forgotten.

    Args:
        connection: A write transaction.
        tenant_id: The home tenant.
        name: Whose place it is: one for each process and machine that reads.
        place: Where to read on. What is ``ahead`` of it is told again.
        mark: What the reader keeps too, another each time.
        now: The time.
    """
    row = {
        "name": name,
        "tenant_id": tenant_id,
        "mark": mark,
        "xid": place.xid,
        "number": place.number,
        "read_at": now,
    }
    insert = (sqlite if _is_sqlite(connection) else postgresql).insert(fleet_readers).values(row)
    changed = {column: insert.excluded[column] for column in ("mark", "xid", "number", "read_at")}
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=changed))


def place_of(connection: Connection, name: str, mark: str) -> Place | None:
    """Return where a reader goes on that was here before and keeps this mark; ``None`` where it has to begin anew."""
    query = select(_READER.xid, _READER.number).where(_READER.name == name, _READER.mark == mark)
    row = connection.execute(query.where(~_of_another_life(connection, _READER.xid))).one_or_none()
    return None if row is None else Place(*row)


def forget_reader(connection: Connection, name: str) -> None:
    """Forget a reader that will not come again."""
    connection.execute(delete(fleet_readers).where(_READER.name == name))


def trim(connection: Connection, now: datetime, most: int) -> int:
    """Forget what every reader has read, at most so much, and readers who did not come; return how much that was."""
    connection.execute(delete(fleet_readers).where(_READER.read_at < now - READ_WITHIN))
    lowest = connection.execute(
        select(_READER.xid, _READER.number).order_by(_READER.xid, _READER.number).limit(1)
    ).one_or_none()
    floor = end(connection) if lowest is None else Place(*lowest)
    kept = select(func.max(_CHANGE.number) - FEW).scalar_subquery()
    old = and_(~_behind(literal(floor.xid), literal(floor.number)), _CHANGE.number <= kept)
    picked = select(_CHANGE.number).where(or_(old, _of_another_life(connection, _CHANGE.xid))).limit(most)
    return connection.execute(delete(fleet_changes).where(_CHANGE.number.in_(picked.scalar_subquery()))).rowcount


def _snapshot(bound: str) -> ColumnElement[int]:
    """Return a number of what PostgreSQL shows us: no transaction below ``xmin`` runs, none from ``xmax`` on began."""
    found = getattr(func, f"pg_snapshot_{bound}")(func.pg_current_snapshot())
    return cast(cast(found, TextType), BigInteger)


_OLDEST_RUNNING: Final = _snapshot("xmin")
_NEXT: Final = _snapshot("xmax")


def _of_another_life(connection: Connection, xid: Any) -> ColumnElement[bool]:
    """Say that a row came with a dump from another cluster: we see it, and its transaction has not begun here."""
    return never() if _is_sqlite(connection) else xid >= _NEXT


def _behind(xid: ColumnElement[int], number: ColumnElement[int]) -> ColumnElement[bool]:
    return tuple_(_CHANGE.xid, _CHANGE.number) > tuple_(xid, number)


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


_WHAT_CHANGED: Final = (_CHANGE.number, _CHANGE.tenant_id, _CHANGE.device_id, _CHANGE.what, _CHANGE.xid)
_XID, _NUMBER, _MOST = (bindparam(name, type_=BigInteger()) for name in ("xid", "number", "most"))
_CHANGES: Final = LookUp(
    select(*_WHAT_CHANGED, _CHANGE.xid < _OLDEST_RUNNING)
    .where(_behind(_XID, _NUMBER))
    .order_by(_CHANGE.xid, _CHANGE.number)
    .limit(_MOST)
)
_CHANGES_OF_ONE_WRITER: Final = LookUp(
    select(*_WHAT_CHANGED, literal(True)).where(_CHANGE.number > _NUMBER).order_by(_CHANGE.number).limit(_MOST)
)
"""On SQLite, where nothing is committed behind what was read, and where a comparison of pairs goes through all rows."""
