"""What changed in the directory since when: versions are given out, read in their order, and forgotten in time.

``sequence`` gives a version to everything that is committed and has none. It takes turns with itself by the row of the
feed, and passes over what somebody is changing at the moment: that has no version when they are done, and gets a later
one. So whoever has read up to a version has seen all of it, however late a transaction commits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    any_,
    delete,
    func,
    literal,
    literal_column,
    select,
    text,
    tuple_,
    update,
)

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine.database import insert_ignoring
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.statements.bulk import MOST_AT_ONCE
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.change_schema import directory_changes, directory_feeds
from shieldwall.server.storage.tables.change_triggers import LOCK

_FEED: Final = directory_feeds.c
_CHANGE: Final = directory_changes.c
_PATIENCE_MILLISECONDS: Final = 3_000
_KEY: Final = (_CHANGE.tenant_id, _CHANGE.kind, _CHANGE.id, _CHANGE.other)


class Feed(StrEnum):
    """What can be followed."""

    DEVICES = "devices"
    GROUPS = "groups"


class Kind(StrEnum):
    """What a change is about."""

    DEVICE = "device"
    """``id`` is the device, ``other`` its directory object."""
    REGISTRATION = "registration"
    """``id`` is the device that may use it, ``other`` the directory object."""
    GROUP = "group"
    MEMBER = "member"
    """``id`` is the group, ``other`` the directory object of the device."""


KINDS: Final[Mapping[Feed, tuple[Kind, ...]]] = {
    Feed.DEVICES: (Kind.DEVICE, Kind.REGISTRATION),
    Feed.GROUPS: (Kind.GROUP, Kind.MEMBER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """How far a feed is: the last version given out, and the last one that is forgotten. ``key`` seals its tokens."""

    version: int
    forgotten: int
    key: bytes = field(repr=False)
    read_at: datetime | None
    is_followed: bool
    """Whether what changes is written down: where nobody reads for long, it is not."""


class Place(NamedTuple):
    """A place in the order of changes; without ``id`` it is behind everything of its version."""

    version: int
    id: str = ""
    other: str = ""


class Change(NamedTuple):
    """The latest change of an object: what it is now stands in its own table, or it is gone."""

    version: int
    id: str
    other: str
    kind: Kind

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.version, self.id, self.other)


def find_feed(connection: Connection, tenant_id: TenantId, feed: Feed) -> FeedState | None:
    """Return how far a feed is, or ``None`` where nobody has read it yet."""
    return _state(connection, tenant_id, feed)


def waits(connection: Connection, tenant_id: TenantId, feed: Feed) -> bool:
    """Say whether changes wait for their version."""
    return any(connection.execute(_waiting(tenant_id, kind).limit(1)).first() is not None for kind in KINDS[feed])


def begin(connection: Connection, tenant_id: TenantId, feed: Feed, now: datetime, new_key: Callable[[], bytes]) -> None:
    """Write down from now on what changes: whatever is not seen when this is committed will be in the feed.

    ``new_key`` makes the key that seals the tokens of a feed that nobody has read before.

    Raises:
        StorageUnavailableError: Somebody has been changing something for too long.
    """
    if connection.dialect.name != "sqlite":  # which has one writer anyway
        connection.execute(text(f"SET LOCAL lock_timeout = {_PATIENCE_MILLISECONDS}"))
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
    row = {"tenant_id": tenant_id, "feed": feed.value, "version": 0, "forgotten": 0, "key": new_key()}
    connection.execute(insert_ignoring(connection, directory_feeds).values(row))
    followed = update(directory_feeds).where(_of_feed(tenant_id, feed)).values(is_followed=True, read_at=now)
    connection.execute(followed)


def sequence(
    connection: Connection, tenant_id: TenantId, feed: Feed, now: datetime, most: int = MOST_AT_ONCE
) -> FeedState:
    """Give the next version to what is committed and has none, at most to so many, and return how far the feed is now.

    Raises:
        NotFoundError: Nobody has ever followed this feed.
    """
    state = _hold(connection, tenant_id, feed)
    version, done = state.version + 1, 0
    for kind in KINDS[feed]:
        picked = _picked(connection, _waiting(tenant_id, kind).limit(most - done))
        given = connection.execute(update(directory_changes).where(picked).values(version=version, at=now))
        done += given.rowcount
    state = replace(state, read_at=now, version=version if done else state.version)
    _put(connection, tenant_id, feed, state)
    return state


def list_changes(
    connection: Connection, tenant_id: TenantId, kinds: Collection[Kind], after: Place, *, upto: int, size: int
) -> tuple[Change, ...]:
    """Return the changes behind a place up to a version, in their order, at most so many."""
    found: list[Change] = []
    for kind in kinds:
        query = (
            select(_CHANGE.version, _CHANGE.id, _CHANGE.other)
            .where(_CHANGE.tenant_id == tenant_id, _CHANGE.kind == kind.value, _CHANGE.version <= upto, _behind(after))
            .order_by(_CHANGE.version, _CHANGE.id, _CHANGE.other)
            .limit(size)
        )
        found += [Change(*row, kind) for row in connection.execute(query)]
    return tuple(sorted(found)[:size])


def forget(connection: Connection, tenant_id: TenantId, feed: Feed, before: datetime, most: int) -> int:
    """Forget changes that got their version before a moment, at most so many; return how many that were.

    Where nobody has read since then nothing is written down any more, and all is forgotten. Whoever comes back after
    that begins anew.
    """
    if find_feed(connection, tenant_id, feed) is None:
        return 0
    state = _hold(connection, tenant_id, feed)
    if state.is_followed and (state.read_at is None or state.read_at < before):
        state = replace(state, is_followed=False, version=state.version + 1, forgotten=state.version + 1)
    removed = 0
    for kind in KINDS[feed]:
        old = (_CHANGE.version.is_not(None), _CHANGE.at < before) if state.is_followed else ()
        picked = select(_CHANGE.version, _CHANGE.id, _CHANGE.other).where(
            _CHANGE.tenant_id == tenant_id, _CHANGE.kind == kind.value, *old
        )
        rows = connection.execute(picked.limit(most - removed).with_for_update(skip_locked=True)).all()
        removed += len(rows)
        state = replace(state, forgotten=max(state.forgotten, *(row.version or 0 for row in rows), 0))
        for portion in portions([(row.id, row.other) for row in rows]):
            named = tuple_(_CHANGE.id, _CHANGE.other).in_(portion)
            mine = _CHANGE.tenant_id == tenant_id, _CHANGE.kind == kind.value
            connection.execute(delete(directory_changes).where(*mine, named))
    _put(connection, tenant_id, feed, state)
    return removed


def _hold(connection: Connection, tenant_id: TenantId, feed: Feed) -> FeedState:
    """Return how far a feed is; nobody else moves it until this transaction ends. Raises: NotFoundError."""
    state = _state(connection, tenant_id, feed, held=True)
    if state is None:
        raise NotFoundError(f"Nobody follows the {feed} of this tenant.")
    return state


def _put(connection: Connection, tenant_id: TenantId, feed: Feed, state: FeedState) -> None:
    connection.execute(
        update(directory_feeds)
        .where(_of_feed(tenant_id, feed))
        .values(version=state.version, forgotten=state.forgotten, read_at=state.read_at, is_followed=state.is_followed)
    )


def _state(connection: Connection, tenant_id: TenantId, feed: Feed, *, held: bool = False) -> FeedState | None:
    query = select(_FEED.version, _FEED.forgotten, _FEED.key, _FEED.read_at, _FEED.is_followed).where(
        _of_feed(tenant_id, feed)
    )
    row = connection.execute(query.with_for_update() if held else query).one_or_none()
    return None if row is None else FeedState(**row._asdict())


def _of_feed(tenant_id: TenantId, feed: Feed) -> ColumnElement[bool]:
    return and_(_FEED.tenant_id == tenant_id, _FEED.feed == feed.value)


def _waiting(tenant_id: TenantId, kind: Kind) -> Select[Any]:
    return select(*_KEY).where(_CHANGE.tenant_id == tenant_id, _CHANGE.kind == kind.value, _CHANGE.version.is_(None))


def _picked(connection: Connection, rows: Select[Any]) -> ColumnElement[bool]:
    """Say that a row is one of these, of which nobody holds one, by its place in the table.

    By its key it could be found through an index that does not fit: of a table that has just filled up PostgreSQL knows
    nothing, and twenty thousand rows would take it longer than a statement has.
    """
    if connection.dialect.name == "sqlite":
        return literal_column("rowid").in_(rows.with_only_columns(literal_column("rowid"), maintain_column_froms=True))
    place: ColumnElement[Any] = literal_column("ctid")
    theirs = rows.with_only_columns(place, maintain_column_froms=True).with_for_update(skip_locked=True)
    return place == any_(func.array(theirs.scalar_subquery()))


def _behind(place: Place) -> ColumnElement[bool]:
    if not place.id:
        return _CHANGE.version > place.version
    return and_(
        _CHANGE.version >= place.version,  # which an index can use where it cannot use what follows
        tuple_(_CHANGE.version, _CHANGE.id, _CHANGE.other) > tuple_(*map(literal, place)),
    )
