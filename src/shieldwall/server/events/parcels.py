"""What is sent to a receiver next: the events that are due, written and signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.server.events import notifications
from shieldwall.server.events.kinds import MISSED
from shieldwall.server.events.payloads import body_of
from shieldwall.server.events.sealing import SecretBox
from shieldwall.server.events.signing import signed_headers
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.engine.outbox import Event, told
from shieldwall.server.storage.events.receivers import Receiver, Sort

NOTIFICATIONS_AT_ONCE: Final = 50
_READ_AT_ONCE: Final = 500
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One request to a receiver, and the cursor that it has when it took it. ``events`` are those inside."""

    receiver: Receiver
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    events: tuple[Event, ...]
    up_to: int
    tells_missed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Nothing is due for the receiver up to this number."""

    up_to: int


def next_parcel(connection: Connection, box: SecretBox, receiver: Receiver, now: datetime) -> Parcel | Nothing:
    """Return what is due for a receiver. Raises: SealedSecretError."""
    if receiver.sort is Sort.SUBSCRIPTION:
        return _next_notification(connection, box, receiver)
    if receiver.missed:
        return webhook_parcel(box, receiver, missed_event(receiver, now), now, tells_missed=True)
    found = outbox.read(connection, receiver.cursor, 1, tenant_id=receiver.tenant_id, patterns=receiver.event_kinds)
    if not found:
        return Nothing(up_to=outbox.newest(connection))
    return webhook_parcel(box, receiver, found[0], now)


def webhook_parcel(
    box: SecretBox, receiver: Receiver, event: Event, now: datetime, *, tells_missed: bool = False
) -> Parcel:
    """Write and sign an event for a webhook. Raises: SealedSecretError."""
    body = body_of(event)
    secrets = [box.open(receiver.tenant_id, receiver.id, receiver.secret)]
    if receiver.former_secret is not None and receiver.former_until is not None and now < receiver.former_until:
        secrets.append(box.open(receiver.tenant_id, receiver.id, receiver.former_secret))
    return Parcel(
        receiver=receiver,
        url=receiver.url,
        headers={"Content-Type": _JSON, **signed_headers(secrets, event.id, now, body)},
        body=body,
        events=(event,),
        up_to=max(event.sequence, receiver.cursor),
        tells_missed=tells_missed,
    )


def unsent(receiver: Receiver) -> Parcel:
    """Stand for what could not even be written for a receiver."""
    return Parcel(receiver=receiver, url=receiver.url, headers={}, body=b"", events=(), up_to=receiver.cursor)


def missed_event(receiver: Receiver, now: datetime) -> Event:
    """Say that events were forgotten before a receiver had them; how often that is said, it is one event."""
    return Event(
        id=str(uuid5(UUID(receiver.id), f"missed-{receiver.cursor}")),
        tenant_id=receiver.tenant_id,
        at=now,
        kind=MISSED,
        details=told(actor="server", kind="receiver", object_id=receiver.id, details={"count": receiver.missed}),
    )


def _next_notification(connection: Connection, box: SecretBox, receiver: Receiver) -> Parcel | Nothing:
    options = notifications.options_of(receiver)
    state = box.open(receiver.tenant_id, receiver.id, receiver.secret).decode() or None
    expires = notifications.written_expiry(receiver.expires_at)
    if receiver.missed and options.lifecycle_url is not None:
        body = notifications.missed_notification(receiver, state, expires)
        return _notifying(receiver, options.lifecycle_url, body, (), receiver.cursor, tells_missed=True)
    newest, cursor = outbox.newest(connection), receiver.cursor
    while found := outbox.read(
        connection, cursor, _READ_AT_ONCE, tenant_id=receiver.tenant_id, patterns=notifications.PATTERNS
    ):
        told_of = [(event, change) for event in found if (change := notifications.change_type(options, event))]
        if told_of:
            taken = told_of[:NOTIFICATIONS_AT_ONCE]
            body = notifications.notification(receiver, state, taken, expires)
            return _notifying(receiver, receiver.url, body, tuple(event for event, _ in taken), taken[-1][0].sequence)
        cursor = found[-1].sequence
    return Nothing(up_to=newest)


def _notifying(
    receiver: Receiver, url: str, body: object, events: tuple[Event, ...], up_to: int, *, tells_missed: bool = False
) -> Parcel:
    return Parcel(
        receiver=receiver,
        url=url,
        headers={"Content-Type": _JSON},
        body=strict_json.encode(body),
        events=events,
        up_to=up_to,
        tells_missed=tells_missed,
    )
