"""Graph's subscriptions to change notifications: what may be asked for, and the handshake with the receiver."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.events.notifications import PATTERNS, SubscriptionOptions, options_of, parsed_resource
from shieldwall.server.events.receiving import beginning, get_receiver, place_of
from shieldwall.server.events.sealing import SecretBox
from shieldwall.server.outgoing.client import Outgoing
from shieldwall.server.outgoing.errors import InvalidReceiverError, ReceiverRefusedError, ReceiverUnreachableError
from shieldwall.server.outgoing.rules import OutgoingRules, check_url
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.receivers import Receiver, Sort
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.records import Page

LONGEST: Final = timedelta(minutes=4_230)
MOST_SUBSCRIPTIONS: Final = 100
HANDSHAKE_SECONDS: Final = 10.0
CHANGE_TYPES: Final = ("created", "updated", "deleted")
_SORT: Final = Sort.SUBSCRIPTION


class InvalidSubscriptionError(ShieldwallError):
    """There can be no such subscription."""

    code = "invalidSubscription"
    remedy = (
        "Subscribe to created, updated or deleted of 'groups', 'groups/ID' or 'groups/ID/members', for at most 4230"
        " minutes."
    )


class ValidationFailedError(ShieldwallError):
    """The receiver of notifications did not give the validation token back."""

    code = "validationFailed"
    remedy = "Answer the POST with ?validationToken=… within ten seconds: 200, text/plain, and the token as the body."


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionDraft:
    """What somebody wants to hear of, and where."""

    resource: str
    change_type: str
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None = field(repr=False)
    expires_at: datetime
    application_id: str | None


def checked_options(draft: SubscriptionDraft, rules: OutgoingRules, now: datetime) -> SubscriptionOptions:
    """Read what is wanted, before anybody is asked. Raises: InvalidSubscriptionError, InvalidReceiverError."""
    found = parsed_resource(draft.resource)
    if found is None:
        raise InvalidSubscriptionError(f"There are no change notifications for {draft.resource[:128]!r}.")
    asked = [each.strip().lower() for each in draft.change_type.split(",")]
    if not asked or set(asked) - set(CHANGE_TYPES):
        raise InvalidSubscriptionError(f"{draft.change_type[:64]!r} are no change types.")
    check_expiry(draft.expires_at, now)
    for url in filter(None, (draft.notification_url, draft.lifecycle_url)):
        check_url(url, rules)
    group, members_only = found
    return SubscriptionOptions(
        resource=draft.resource,
        group=group,
        members_only=members_only,
        change_types=tuple(each for each in CHANGE_TYPES if each in asked),
        lifecycle_url=draft.lifecycle_url,
        application_id=draft.application_id,
    )


def check_expiry(expires_at: datetime, now: datetime) -> None:
    """Refuse an end that is not ahead, or too far. Raises: InvalidSubscriptionError."""
    if not now < expires_at <= now + LONGEST:
        raise InvalidSubscriptionError("expirationDateTime is not within 4230 minutes from now.")


async def shake_hands(outgoing: Outgoing, url: str, token: str) -> None:
    """See that whoever listens at an address wants notifications: it gives a token back.

    Raises:
        ValidationFailedError: It does not, or nobody listens.
    """
    separator = "&" if "?" in url else "?"
    try:
        answer = await outgoing.fetch(
            "POST",
            f"{url}{separator}validationToken={quote(token, safe='')}",
            headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=HANDSHAKE_SECONDS,
            max_bytes=1_024,
        )
    except (InvalidReceiverError, ReceiverRefusedError, ReceiverUnreachableError) as error:
        raise ValidationFailedError(error.cause) from error
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status != 200 or media_type != "text/plain":
        raise ValidationFailedError(f"{place_of(url)} answered {answer.status} and {media_type[:64] or 'no type'}.")
    if not hmac.compare_digest(answer.body, token.encode("ascii")):
        raise ValidationFailedError(f"{place_of(url)} answered with something else than the token.")


def check_group(connection: Connection, tenant_id: TenantId, options: SubscriptionOptions) -> None:
    """See that the group of a subscription is one of the tenant's. Raises: InvalidSubscriptionError."""
    if options.group is not None:
        group = groups.find(connection, GroupId(options.group))
        if group is None or group.tenant_id != tenant_id:
            raise InvalidSubscriptionError(f"There is no group {options.group}.")


def create_subscription(
    connection: Connection, acting: Acting, box: SecretBox, draft: SubscriptionDraft, options: SubscriptionOptions
) -> Receiver:
    """Make a subscription whose receiver has shaken hands.

    Raises:
        InvalidSubscriptionError: The group is not one of this tenant.
        TooManyReceiversError: There are enough.
    """
    check_group(connection, acting.tenant_id, options)
    now, receiver_id = acting.clock.now(), acting.new_id()
    state = (draft.client_state or "").encode()
    made = Receiver(
        id=receiver_id,
        tenant_id=acting.tenant_id,
        sort=_SORT,
        display_name=options.resource[:256],
        url=draft.notification_url,
        event_kinds=PATTERNS,
        options=strict_json.encode(options).decode(),
        secret=box.seal(acting.tenant_id, receiver_id, state),
        created_at=now,
        created_by=acting.actor[:256],
        modified_at=now,
        expires_at=draft.expires_at,
        cursor=beginning(connection, acting.tenant_id, _SORT, MOST_SUBSCRIPTIONS),
    )
    receivers.add(connection, made)
    details = {"resource": options.resource, "place": place_of(made.url)}
    acting.record(connection, "subscription.created", "subscription", made.id, **details)
    return made


def renew_subscription(
    connection: Connection, acting: Acting, subscription_id: str, *, owner: str, expires_at: datetime
) -> Receiver:
    """Let a subscription last longer, or end earlier; one that was switched off hears again.

    Raises:
        NotFoundError: There is none of this owner's, or its time is over.
        InvalidSubscriptionError: The end is not ahead, or too far.
    """
    now = acting.clock.now()
    found = get_subscription(connection, acting.tenant_id, subscription_id, owner=owner, now=now)
    check_expiry(expires_at, now)
    receivers.change(connection, found.id, expires_at=expires_at, modified_at=now)
    if not found.enabled:
        fresh = {"failures": 0, "failing_since": None, "next_attempt_at": None}
        receivers.change(connection, found.id, enabled=True, switched_off_because="", **fresh)
    acting.record(connection, "subscription.renewed", "subscription", found.id, until=expires_at.isoformat())
    return get_subscription(connection, acting.tenant_id, subscription_id, owner=owner, now=now)


def delete_subscription(connection: Connection, acting: Acting, subscription_id: str, *, owner: str) -> None:
    """End a subscription. Raises: NotFoundError."""
    now = acting.clock.now()
    found = get_subscription(connection, acting.tenant_id, subscription_id, owner=owner, now=now)
    receivers.remove(connection, found.id)
    acting.record(connection, "subscription.deleted", "subscription", found.id)


def all_subscriptions(connection: Connection, tenant_id: TenantId, now: datetime) -> tuple[Receiver, ...]:
    """Return every subscription of a tenant whose time is not over, whosever it is."""
    found = receivers.list_receivers(connection, tenant_id, _SORT, Page(size=MOST_SUBSCRIPTIONS))
    return tuple(each for each in found if each.expires_at is None or each.expires_at > now)


def end_subscription(connection: Connection, acting: Acting, subscription_id: str) -> None:
    """End anybody's subscription, as somebody who looks after the tenant's. Raises: NotFoundError."""
    found = get_receiver(connection, acting.tenant_id, _SORT, subscription_id)
    receivers.remove(connection, found.id)
    acting.record(connection, "subscription.deleted", "subscription", found.id)


def get_subscription(
    connection: Connection, tenant_id: TenantId, subscription_id: str, *, owner: str, now: datetime
) -> Receiver:
    """Return a subscription of its owner's whose time is not over. Raises: NotFoundError."""
    found = get_receiver(connection, tenant_id, _SORT, subscription_id)
    if not _is_there(found, owner, now):
        raise NotFoundError(f"There is no subscription {subscription_id[:64]}.")
    return found


def list_subscriptions(
    connection: Connection, tenant_id: TenantId, *, owner: str, now: datetime
) -> tuple[Receiver, ...]:
    """Return the subscriptions of an owner whose time is not over."""
    found = receivers.list_receivers(connection, tenant_id, _SORT, Page(size=MOST_SUBSCRIPTIONS))
    return tuple(each for each in found if _is_there(each, owner, now))


def _is_there(subscription: Receiver, owner: str, now: datetime) -> bool:
    has_ended = subscription.expires_at is not None and subscription.expires_at <= now
    return not has_ended and options_of(subscription).application_id == owner
