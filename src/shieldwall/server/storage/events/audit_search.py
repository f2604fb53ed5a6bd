"""Looking through the audit trail: newest first, in bounded time however long the trail is.

One of the conditions that an index answers leads: the object, the activity, whoever acted, or time alone. What else is
asked for is looked for among the newest ``SCANNED`` events that fit this one; where that is not all of them, the answer
says how far back it looked, and the search can be continued there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, Subquery, and_, func, or_, select, union_all

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.records import AuditEvent
from shieldwall.server.storage.tables.schema import audit_events

SCANNED: Final = 10_000
_NEARBY: Final = timedelta(minutes=5)
"""Within which the acts of one request are looked for."""
_MOST_TOGETHER: Final = 100
_ALL_OF_AREA: Final = ".*"

Condition: TypeAlias = Callable[[Any], ColumnElement[bool]]
"""A condition on the columns of the trail, wherever they are read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSearch:
    """What somebody looks for; what is empty or ``None`` fits everything."""

    actors: tuple[str, ...] = ()
    """Exactly these names, as the trail writes them."""
    actor_like: str = ""
    activity: str = ""
    """``policy.created``, or ``policy.*`` for all of an area."""
    object_id: str = ""
    text: str = ""
    """Stands somewhere in the details, in any case."""
    since: datetime | None = None
    until: datetime | None = None
    """Before this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of what was found. ``following`` names the event after which the search goes on, if it does.

    ``looked_back_to`` is set where the page ended because enough was looked at, not because enough was found.
    """

    events: tuple[AuditEvent, ...]
    following: str | None = None
    looked_back_to: datetime | None = None


def search(connection: Connection, tenant_id: TenantId, wanted: AuditSearch, *, size: int, after: str | None) -> Found:
    """Return one page, newest first; ``after`` names the last event of the page before it."""
    alternatives, others = _conditions(wanted)
    within = _within(tenant_id, wanted, after)
    most = SCANNED if others else size
    window = _newest([(*within, *(each(audit_events.c) for each in one)) for one in alternatives], most).subquery()
    newest_first = (window.c.at.desc(), window.c.id.desc())
    query = select(window).where(*(each(window.c) for each in others)).order_by(*newest_first).limit(size)
    found = tuple(AuditEvent(**row._asdict()) for row in connection.execute(query))
    if len(found) == size:
        return Found(events=found, following=found[-1].id)
    if others:
        oldest = select(window.c.id, window.c.at).order_by(*newest_first).offset(most - 1).limit(1)
        for last in connection.execute(oldest):
            return Found(events=found, following=last.id, looked_back_to=last.at)
    return Found(events=found)


def activities(connection: Connection, tenant_id: TenantId) -> tuple[str, ...]:
    """Return the activities that a tenant's trail holds, in order; one step of the index for each."""
    column, mine = audit_events.c.activity, audit_events.c.tenant_id == tenant_id
    steps = select(func.min(column).label("activity")).where(mine).cte("steps", recursive=True)
    following = select(func.min(column)).where(mine, column > steps.c.activity).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.activity.is_not(None)))
    return tuple(each for each in connection.scalars(select(steps.c.activity)) if each is not None)


def before(connection: Connection, event: AuditEvent) -> AuditEvent | None:
    """Return the last event before this one that tells of the same object in the same way: likewise, or its making."""
    area = event.activity.partition(".")[0]
    query = (
        select(audit_events)
        .where(
            _of_tenant(event.tenant_id),
            audit_events.c.object_id == event.object_id,
            audit_events.c.activity.in_([event.activity, f"{area}.created", f"{area}.assigned"]),
            _older(audit_events.c, event.at, event.id),
        )
        .order_by(audit_events.c.at.desc(), audit_events.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else AuditEvent(**row._asdict())


def together(connection: Connection, event: AuditEvent) -> tuple[AuditEvent, ...]:
    """Return what the request of an event did beside it, oldest first."""
    if event.correlation_id is None:
        return ()
    query = (
        select(audit_events)
        .where(
            audit_events.c.tenant_id == event.tenant_id,
            audit_events.c.at.between(event.at - _NEARBY, event.at + _NEARBY),
            audit_events.c.correlation_id == event.correlation_id,
            audit_events.c.id != event.id,
        )
        .order_by(audit_events.c.at, audit_events.c.id)
        .limit(_MOST_TOGETHER)
    )
    return tuple(AuditEvent(**row._asdict()) for row in connection.execute(query))


def _within(tenant_id: TenantId, wanted: AuditSearch, after: str | None) -> list[ColumnElement[bool]]:
    columns = audit_events.c
    found = [_of_tenant(tenant_id) if wanted.object_id else columns.tenant_id == tenant_id]
    if wanted.since is not None:
        found.append(columns.at >= wanted.since)
    if wanted.until is not None:
        found.append(columns.at < wanted.until)
    if after is not None:
        own = (columns.id == after, columns.tenant_id == tenant_id)
        found.append(_older(columns, select(columns.at).where(*own).scalar_subquery(), after))
    return found


def _of_tenant(tenant_id: TenantId) -> ColumnElement[bool]:
    """Ask for the tenant in a way that no index answers: the object's own index finds its few events at once."""
    return func.coalesce(audit_events.c.tenant_id, "") == tenant_id


def _conditions(wanted: AuditSearch) -> tuple[list[tuple[Condition, ...]], list[Condition]]:
    """Choose what leads: alternatives, each of which an index answers in order; and what is looked for among them."""
    leading: list[tuple[Condition, ...]] = []
    others: list[Condition] = []
    if wanted.object_id:
        leading = [(lambda columns: columns.object_id == wanted.object_id,)]
    if wanted.actors and not leading:
        leading = [(_is_by(actor),) for actor in wanted.actors]
    elif wanted.actors:
        others.append(lambda columns: columns.actor.in_(wanted.actors))
    elif wanted.actor_like:
        others.append(lambda columns: _holds(columns.actor, wanted.actor_like))
    if wanted.activity.endswith(_ALL_OF_AREA):
        area = wanted.activity.removesuffix("*")
        others.append(lambda columns: columns.activity.startswith(area, autoescape=True))
    elif wanted.activity and not leading:
        leading = [(lambda columns: columns.activity == wanted.activity,)]
    elif wanted.activity:
        others.append(lambda columns: columns.activity == wanted.activity)
    if wanted.text:
        others.append(lambda columns: or_(_holds(columns.details, wanted.text), columns.object_id == wanted.text))
    return leading or [()], others


def _is_by(actor: str) -> Condition:
    return lambda columns: columns.actor == actor


def _holds(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    # SQLite folds the letters of ASCII alone; others are found as they were typed, too.
    folded = func.lower(column).contains(text.lower(), autoescape=True)
    return folded if text.isascii() else or_(folded, column.contains(text, autoescape=True))


def _newest(alternatives: list[tuple[ColumnElement[bool], ...]], most: int) -> Select[Any]:
    """Read the newest rows that fit one of the alternatives, each by its own way into the index."""
    parts = [_some(each, most) for each in alternatives]
    if len(parts) == 1:
        return parts[0]
    rows: Subquery = union_all(*(select(part.subquery()) for part in parts)).subquery()
    return select(rows).order_by(rows.c.at.desc(), rows.c.id.desc()).limit(most)


def _some(where: tuple[ColumnElement[bool], ...], most: int) -> Select[Any]:
    query = select(audit_events).where(*where)
    return query.order_by(audit_events.c.at.desc(), audit_events.c.id.desc()).limit(most)


def _older(columns: Any, at: Any, event_id: str) -> ColumnElement[bool]:
    return or_(columns.at < at, and_(columns.at == at, columns.id < event_id))
