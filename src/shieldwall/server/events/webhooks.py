"""Webhooks as administrators make, change and remove them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.events.kinds import PING, checked_patterns
from shieldwall.server.events.receiving import beginning, get_receiver, place_of
from shieldwall.server.events.sealing import SecretBox
from shieldwall.server.events.signing import SECRET_BYTES
from shieldwall.server.outgoing.rules import OutgoingRules, check_url
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.engine.outbox import Event
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.receivers import Delivery, Receiver, Sort

MOST_WEBHOOKS: Final = 50
MOST_OVERLAP_HOURS: Final = 168
_SORT: Final = Sort.WEBHOOK


class InvalidWebhookError(ShieldwallError):
    """There can be no such webhook."""

    code = "invalidWebhook"
    remedy = "Give a name of 1 to 256 characters."


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What shall be different; ``None`` stays as it is."""

    display_name: str | None = None
    url: str | None = None
    event_kinds: Iterable[str] | None = None
    enabled: bool | None = None


def create_webhook(
    connection: Connection, acting: Acting, box: SecretBox, rules: OutgoingRules, asked: WebhookChange
) -> tuple[Receiver, bytes]:
    """Make a webhook; return it with its secret, which is shown this once.

    Raises:
        InvalidWebhookError, InvalidReceiverError, InvalidEventKindError: There can be no such webhook.
        TooManyReceiversError: There are enough.
    """
    now, receiver_id = acting.clock.now(), acting.new_id()
    secret = box.make_random(SECRET_BYTES)
    check_url(asked.url or "", rules)
    webhook = Receiver(
        id=receiver_id,
        tenant_id=acting.tenant_id,
        sort=_SORT,
        display_name=_name(asked.display_name or ""),
        url=asked.url or "",
        event_kinds=checked_patterns(asked.event_kinds or ()),
        secret=box.seal(acting.tenant_id, receiver_id, secret),
        enabled=asked.enabled is not False,
        created_at=now,
        created_by=acting.actor[:256],
        modified_at=now,
        cursor=beginning(connection, acting.tenant_id, _SORT, MOST_WEBHOOKS),
    )
    receivers.add(connection, webhook)
    _record(connection, acting, "created", webhook, eventKinds=webhook.event_kinds, place=place_of(webhook.url))
    return webhook, secret


def change_webhook(
    connection: Connection, acting: Acting, rules: OutgoingRules, webhook_id: str, asked: WebhookChange
) -> Receiver:
    """Change a webhook. Switched on again, it gets what happened meanwhile, as far as that is still kept.

    Raises:
        NotFoundError: There is none.
        InvalidWebhookError, InvalidReceiverError, InvalidEventKindError: There can be no such webhook.
    """
    webhook = get_webhook(connection, acting.tenant_id, webhook_id)
    columns: dict[str, Any] = {}
    if asked.display_name is not None:
        columns["display_name"] = _name(asked.display_name)
    if asked.url is not None:
        check_url(asked.url, rules)
        columns["url"] = asked.url
    if asked.event_kinds is not None:
        columns["event_kinds"] = checked_patterns(asked.event_kinds)
    if asked.enabled is not None:
        columns["enabled"] = asked.enabled
    changed = {name: value for name, value in columns.items() if value != getattr(webhook, name)}
    if not changed:
        return webhook
    shown = changed | ({"url": place_of(columns["url"])} if "url" in changed else {})
    if changed.keys() & {"url", "enabled"}:  # what failed so far was something else
        changed |= {"failures": 0, "failing_since": None, "next_attempt_at": None, "switched_off_because": ""}
    receivers.change(connection, webhook.id, modified_at=acting.clock.now(), **changed)
    _record(connection, acting, "changed", webhook, changed=shown)
    return get_webhook(connection, acting.tenant_id, webhook_id)


def delete_webhook(connection: Connection, acting: Acting, webhook_id: str) -> None:
    """Remove a webhook; what it did not have it never gets. Raises: NotFoundError."""
    webhook = get_webhook(connection, acting.tenant_id, webhook_id)
    receivers.remove(connection, webhook.id)
    _record(connection, acting, "deleted", webhook)


def rotate_secret(
    connection: Connection, acting: Acting, box: SecretBox, webhook_id: str, *, overlap: timedelta
) -> tuple[Receiver, bytes]:
    """Give a webhook a new secret; for a while deliveries are signed with the former one too. Raises: NotFoundError."""
    webhook = get_webhook(connection, acting.tenant_id, webhook_id)
    now, secret = acting.clock.now(), box.make_random(SECRET_BYTES)
    receivers.change(
        connection,
        webhook.id,
        secret=box.seal(acting.tenant_id, webhook.id, secret),
        former_secret=webhook.secret if overlap else None,
        former_until=now + overlap if overlap else None,
        modified_at=now,
    )
    _record(connection, acting, "secretRotated", webhook, overlapHours=overlap / timedelta(hours=1))
    return get_webhook(connection, acting.tenant_id, webhook_id), secret


def get_webhook(connection: Connection, tenant_id: TenantId, webhook_id: str) -> Receiver:
    """Return a webhook of a tenant. Raises: NotFoundError."""
    return get_receiver(connection, tenant_id, _SORT, webhook_id)


def list_deliveries(connection: Connection, tenant_id: TenantId, webhook_id: str) -> tuple[Delivery, ...]:
    """Return what was sent to a webhook lately, the newest event first. Raises: NotFoundError."""
    webhook = get_webhook(connection, tenant_id, webhook_id)
    return receivers.list_deliveries(connection, tenant_id, webhook.id)


def ping_event(acting: Acting, webhook: Receiver) -> Event:
    """Make the event that is sent to see whether a webhook takes anything; nobody else hears of it."""
    details = outbox.told(actor=acting.actor, kind="webhook", object_id=webhook.id, details={})
    return Event(id=acting.new_id(), tenant_id=webhook.tenant_id, at=acting.clock.now(), kind=PING, details=details)


def event_to_redeliver(connection: Connection, tenant_id: TenantId, event_id: str) -> Event:
    """Return an event that is to be sent once more. Raises: NotFoundError: it is not there, or not kept any more."""
    found = outbox.find(connection, tenant_id, event_id)
    if found is None:
        raise NotFoundError(f"There is no event {event_id[:64]}, or it is not kept any more.")
    return found


def _name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= 256 or not name.isprintable():
        raise InvalidWebhookError("The name of a webhook is missing, too long, or cannot be shown.")
    return name


def _record(connection: Connection, acting: Acting, what: str, webhook: Receiver, **details: object) -> None:
    acting.record(connection, f"webhook.{what}", "webhook", webhook.id, name=webhook.display_name, **details)
