"""Receivers of events: who they are, how far they are, how they are doing; and what was sent to them lately."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, delete, exists, func, insert, or_, select, update

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.events_schema import deliveries, outbox, receivers

DELIVERIES_KEPT: Final = 100
"""Of each receiver."""


class Sort(StrEnum):
    """What a receiver is."""

    WEBHOOK = "webhook"
    SUBSCRIPTION = "subscription"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Somebody who wants to hear of events of one tenant.

    ``secret`` and ``former_secret`` are sealed; ``options`` is JSON that its sort knows how to read. Everything up to
    ``cursor`` has been seen to; ``missed`` events were forgotten before the receiver had them.
    """

    id: str
    tenant_id: TenantId
    sort: Sort
    display_name: str
    url: str
    event_kinds: tuple[str, ...]
    options: str = "{}"
    secret: bytes = field(repr=False)
    former_secret: bytes | None = field(default=None, repr=False)
    former_until: datetime | None = None
    enabled: bool = True
    switched_off_because: str = ""
    created_at: datetime
    created_by: str
    modified_at: datetime
    expires_at: datetime | None = None
    cursor: int
    missed: int = 0
    failures: int = 0
    """Attempts at the event that is due now that failed."""
    failing_since: datetime | None = None
    next_attempt_at: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_failure: str = ""


class DeliveryState(StrEnum):
    """What became of sending an event to a receiver."""

    SUCCEEDED = "succeeded"
    WAITING = "waiting"
    """It failed and will be tried again."""
    FAILED = "failed"
    """It failed and will not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event that was sent to a receiver, ``attempts`` times; ``status`` and ``cause`` are those of the last."""

    receiver_id: str
    event_id: str
    tenant_id: TenantId
    sequence: int
    event_kind: str
    state: DeliveryState
    attempts: int
    status: int | None
    cause: str
    first_at: datetime
    last_at: datetime
    milliseconds: int


def add(connection: Connection, receiver: Receiver) -> None:
    """Add a receiver."""
    connection.execute(insert(receivers).values(_columns(receiver)))


def find(connection: Connection, tenant_id: TenantId, sort: Sort, receiver_id: str) -> Receiver | None:
    """Return a receiver of a tenant, or ``None``."""
    row = connection.execute(_of_tenant(tenant_id, sort).where(receivers.c.id == receiver_id)).one_or_none()
    return None if row is None else _receiver(row)


def find_any(connection: Connection, receiver_id: str) -> Receiver | None:
    """Return a receiver of whatever tenant, for the one who delivers; ``None`` where it is gone."""
    row = connection.execute(select(receivers).where(receivers.c.id == receiver_id)).one_or_none()
    return None if row is None else _receiver(row)


def list_receivers(connection: Connection, tenant_id: TenantId, sort: Sort, page: Page) -> tuple[Receiver, ...]:
    """Return one page of a tenant's receivers of a sort, ordered by id unless the page says otherwise."""
    query = _of_tenant(tenant_id, sort)
    return tuple(map(_receiver, paging.rows(connection, query, page, receivers.c.id)))


def of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[Receiver, ...]:
    """Return all receivers of a tenant."""
    query = select(receivers).where(receivers.c.tenant_id == tenant_id).order_by(receivers.c.id)
    return tuple(map(_receiver, connection.execute(query)))


def count(connection: Connection, tenant_id: TenantId, sort: Sort) -> int:
    """Return how many receivers of a sort a tenant has."""
    counted = select(func.count()).select_from(receivers)
    return connection.execute(
        counted.where(receivers.c.tenant_id == tenant_id, receivers.c.sort == sort.value)
    ).scalar_one()


def change(connection: Connection, receiver_id: str, **columns: Any) -> bool:
    """Write some columns of a receiver; say whether it is still there."""
    if "event_kinds" in columns:
        columns["event_kinds"] = to_text(columns["event_kinds"])
    return connection.execute(update(receivers).where(receivers.c.id == receiver_id).values(columns)).rowcount == 1


def remove(connection: Connection, receiver_id: str) -> None:
    """Remove a receiver and its deliveries."""
    connection.execute(delete(receivers).where(receivers.c.id == receiver_id))


def count_expired(connection: Connection, now: datetime) -> int:
    """Return how many receivers' time is over."""
    counted = select(func.count()).select_from(receivers).where(receivers.c.expires_at <= now)
    return connection.execute(counted).scalar_one()


def remove_expired(connection: Connection, now: datetime) -> int:
    """Remove the receivers whose time is over; return how many."""
    return connection.execute(delete(receivers).where(receivers.c.expires_at <= now)).rowcount


def due(connection: Connection, now: datetime) -> tuple[str, ...]:
    """Return the receivers, of all tenants, to whom something may have to be sent now."""
    more = exists().where(outbox.c.tenant_id == receivers.c.tenant_id, outbox.c.sequence > receivers.c.cursor)
    query = select(receivers.c.id).where(
        receivers.c.enabled,
        or_(receivers.c.next_attempt_at.is_(None), receivers.c.next_attempt_at <= now),
        or_(receivers.c.expires_at.is_(None), receivers.c.expires_at > now),
        or_(receivers.c.missed > 0, more),
    )
    return tuple(connection.scalars(query.order_by(receivers.c.next_attempt_at, receivers.c.id)))


def move_past(connection: Connection, receiver: Receiver, up_to: int) -> None:
    """Take a receiver past events that it does not want, unless it was moved meanwhile."""
    unmoved = and_(receivers.c.id == receiver.id, receivers.c.cursor == receiver.cursor)
    connection.execute(update(receivers).where(unmoved).values(cursor=up_to, missed=0))


def fall_behind(connection: Connection, receiver_id: str, *, up_to: int, missed: int) -> None:
    """Take a receiver past events that are forgotten now."""
    behind = and_(receivers.c.id == receiver_id, receivers.c.cursor < up_to)
    connection.execute(update(receivers).where(behind).values(cursor=up_to, missed=receivers.c.missed + missed))


def keep_delivery(connection: Connection, delivery: Delivery) -> None:
    """Note what became of an attempt; what was known of the same event and receiver is replaced.

    Only the newest of each receiver are kept.
    """
    columns = columns_of(delivery, state=delivery.state.value, cause=delivery.cause[:1_024])
    own = and_(deliveries.c.receiver_id == delivery.receiver_id, deliveries.c.event_id == delivery.event_id)
    again = columns | {"attempts": deliveries.c.attempts + 1, "first_at": deliveries.c.first_at}
    if connection.execute(update(deliveries).where(own).values(again)).rowcount == 0:
        connection.execute(insert(deliveries).values(columns))
    of_receiver = deliveries.c.receiver_id == delivery.receiver_id
    last_kept = select(deliveries.c.sequence).where(of_receiver).order_by(deliveries.c.sequence.desc())
    connection.execute(
        delete(deliveries).where(
            of_receiver, deliveries.c.sequence < last_kept.offset(DELIVERIES_KEPT - 1).limit(1).scalar_subquery()
        )
    )


def find_delivery(connection: Connection, receiver_id: str, event_id: str) -> Delivery | None:
    """Return what became of sending an event to a receiver."""
    query = select(deliveries).where(deliveries.c.receiver_id == receiver_id, deliveries.c.event_id == event_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _delivery(row)


def list_deliveries(connection: Connection, tenant_id: TenantId, receiver_id: str) -> tuple[Delivery, ...]:
    """Return what was sent to a receiver lately, the newest event first."""
    query = select(deliveries).where(deliveries.c.tenant_id == tenant_id, deliveries.c.receiver_id == receiver_id)
    return tuple(map(_delivery, connection.execute(query.order_by(deliveries.c.sequence.desc()))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a receiver is doing, for the numbers of the server; ``lag`` counts events that it still has to see."""

    sort: Sort
    enabled: bool
    switched_off: bool
    """By the server, for want of success; otherwise somebody did it, and knows."""
    failures: int
    lag: int


def standings(connection: Connection) -> tuple[Standing, ...]:
    """Return how every receiver of every tenant is doing."""
    lag = (
        select(func.count())
        .select_from(outbox)
        .where(outbox.c.tenant_id == receivers.c.tenant_id, outbox.c.sequence > receivers.c.cursor)
        .scalar_subquery()
    )
    query = select(receivers.c.sort, receivers.c.enabled, receivers.c.switched_off_because, receivers.c.failures, lag)
    return tuple(
        Standing(sort=Sort(sort), enabled=enabled, switched_off=because != "", failures=failures, lag=behind)
        for sort, enabled, because, failures, behind in connection.execute(query)
    )


def _of_tenant(tenant_id: TenantId, sort: Sort) -> Select[Any]:
    return select(receivers).where(receivers.c.tenant_id == tenant_id, receivers.c.sort == sort.value)


def _columns(receiver: Receiver) -> dict[str, Any]:
    return columns_of(receiver, sort=receiver.sort.value, event_kinds=to_text(receiver.event_kinds))


def _receiver(row: Row[Any]) -> Receiver:
    columns = row._asdict()
    kinds = strings_from(columns["event_kinds"])
    return Receiver(**(columns | {"sort": Sort(columns["sort"]), "event_kinds": kinds}))


def _delivery(row: Row[Any]) -> Delivery:
    columns = row._asdict()
    return Delivery(**(columns | {"state": DeliveryState(columns["state"])}))
