"""The audit trail: who did what to what, when. Events are added, never changed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.records import AuditEvent, Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.schema import audit_events


def add(connection: Connection, event: AuditEvent) -> None:
    """Add an event, in the transaction of what it tells about; those who follow events hear of it."""
    connection.execute(insert(audit_events).values(columns_of(event)))
    outbox.note(connection, _told(event))


def list_events(
    connection: Connection, tenant_id: TenantId, page: Page, *, object_id: str | None = None
) -> tuple[AuditEvent, ...]:
    """Return one page of a tenant's events, newest first unless the page says otherwise.

    With ``object_id`` they are those of one object alone.
    """
    query = select(audit_events).where(audit_events.c.tenant_id == tenant_id)
    if object_id is not None:
        query = query.where(audit_events.c.object_id == object_id)
    if page.order:
        return tuple(AuditEvent(**row._asdict()) for row in paging.rows(connection, query, page, audit_events.c.id))
    query = query.where(*page.where)
    if page.tally is not None:
        page.tally.total = paging.count(connection, query)
    query = query.order_by(audit_events.c.at.desc(), audit_events.c.id.desc()).limit(page.size).offset(page.skip)
    if page.after is not None:
        own = (audit_events.c.id == page.after, audit_events.c.tenant_id == tenant_id)
        last = select(audit_events.c.at).where(*own).scalar_subquery()
        same_moment = and_(audit_events.c.at == last, audit_events.c.id < page.after)
        query = query.where(or_(audit_events.c.at < last, same_moment))
    return tuple(AuditEvent(**row._asdict()) for row in connection.execute(query))


def find(connection: Connection, tenant_id: TenantId, event_id: str) -> AuditEvent | None:
    """Return an event of this tenant, or ``None``."""
    query = select(audit_events).where(audit_events.c.id == event_id, audit_events.c.tenant_id == tenant_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else AuditEvent(**row._asdict())


def list_activities(connection: Connection, tenant_id: TenantId, *where: ColumnElement[bool]) -> tuple[str, ...]:
    """Return the activities that a tenant's trail holds under these conditions, each once and in order."""
    query = select(audit_events.c.activity).where(audit_events.c.tenant_id == tenant_id, *where).distinct()
    return tuple(connection.scalars(query.order_by(audit_events.c.activity)))


def told_between(
    connection: Connection,
    tenant_id: TenantId,
    since: datetime,
    until: datetime,
    most: int,
    *,
    after: outbox.Event | None = None,
) -> tuple[outbox.Event, ...]:
    """Return the first of a tenant's events from one moment on and before another, oldest first.

    They are as those who follow events hear of them; ``after`` is the last one that is known already.
    """
    query = select(audit_events).where(audit_events.c.tenant_id == tenant_id, audit_events.c.at < until)
    if after is None:
        query = query.where(audit_events.c.at >= since)
    else:
        later = or_(audit_events.c.at > after.at, audit_events.c.id > after.id)
        query = query.where(audit_events.c.at >= after.at, later)
    query = query.order_by(audit_events.c.at, audit_events.c.id).limit(most)
    return tuple(_told(AuditEvent(**row._asdict())) for row in connection.execute(query))


def _told(event: AuditEvent) -> outbox.Event:
    details = outbox.told(
        actor=event.actor,
        actorId=event.actor_id,
        ipAddress=event.ip_address,
        correlationId=event.correlation_id,
        kind=event.object_kind,
        object_id=event.object_id,
        details=strict_json.decode_any(event.details.encode()),
    )
    return outbox.Event(id=event.id, tenant_id=event.tenant_id, at=event.at, kind=event.activity, details=details)
