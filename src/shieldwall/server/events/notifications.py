"""Change notifications in the shape of Microsoft Graph: which events a subscription is about, and what it is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from shieldwall.contract import strict_json
from shieldwall.server.storage.engine.outbox import Event
from shieldwall.server.storage.events.receivers import Receiver

PATTERNS: Final = ("group.*",)
MEMBERS_CHANGED: Final = frozenset(
    {"group.memberAdded", "group.memberRemoved", "group.membersJoined", "group.membersLeft"}
)
CHANGE_OF: Final[Mapping[str, str]] = {
    "group.created": "created",
    "group.changed": "updated",
    "group.deleted": "deleted",
    **dict.fromkeys(MEMBERS_CHANGED, "updated"),
}
"""The change types of Graph by our kinds of events."""
_RESOURCE: Final = re.compile(r"/?groups(?:/(?P<group>[0-9a-fA-F-]{36})(?P<members>/members)?)?/?", re.IGNORECASE)


class SubscriptionOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a subscription is about. ``group`` is ``None`` for every group; ``resource`` as it was asked for."""

    resource: str
    group: str | None
    members_only: bool
    change_types: tuple[str, ...]
    lifecycle_url: str | None = None
    application_id: str | None = None


def options_of(receiver: Receiver) -> SubscriptionOptions:
    """Read what a subscription is about."""
    return strict_json.decode(receiver.options.encode(), SubscriptionOptions)


def parsed_resource(resource: str) -> tuple[str | None, bool] | None:
    """Read a resource: the group it names, if any, and whether it is about its members alone. ``None``: no such one."""
    found = _RESOURCE.fullmatch(resource)
    return None if found is None else (found["group"] and found["group"].lower(), found["members"] is not None)


def change_type(options: SubscriptionOptions, event: Event) -> str | None:
    """Return the change type under which a subscription hears of an event; ``None``: it does not."""
    change = CHANGE_OF.get(event.kind)
    if change is None or change not in options.change_types:
        return None
    if options.group is not None and options.group != _group_of(event):
        return None
    return None if options.members_only and event.kind not in MEMBERS_CHANGED else change


def notification(
    receiver: Receiver, client_state: str | None, changes: Iterable[tuple[Event, str]], expires: str
) -> dict[str, Any]:
    """Write events, each with its change type, for a subscription."""
    return {
        "value": [
            {
                "subscriptionId": receiver.id,
                "subscriptionExpirationDateTime": expires,
                "clientState": client_state,
                "changeType": change,
                "resource": f"Groups/{_group_of(event)}",
                "tenantId": receiver.tenant_id,
                "resourceData": {
                    "@odata.type": "#Microsoft.Graph.Group",
                    "@odata.id": f"Groups/{_group_of(event)}",
                    "id": _group_of(event),
                },
            }
            for event, change in changes
        ]
    }


def missed_notification(receiver: Receiver, client_state: str | None, expires: str) -> dict[str, Any]:
    """Write that events were missed, for the address of lifecycle notifications."""
    return {
        "value": [
            {
                "subscriptionId": receiver.id,
                "subscriptionExpirationDateTime": expires,
                "clientState": client_state,
                "tenantId": receiver.tenant_id,
                "lifecycleEvent": "missed",
            }
        ]
    }


def written_expiry(at: datetime | None) -> str:
    """Write when a subscription ends, as Graph does."""
    assert at is not None, "every subscription ends"
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}0Z"


def _group_of(event: Event) -> str:
    return str(strict_json.decode_any(event.details.encode())["object"]["id"])
