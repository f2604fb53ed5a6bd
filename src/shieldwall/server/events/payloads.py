"""What receivers get of an event: small, stable JSON in the manner of CloudEvents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from shieldwall.contract import strict_json
from shieldwall.server.storage.engine.outbox import Event

MOST_BYTES: Final = 64 * 1024
"""Of one body. What an event tells beyond that is left out and said to be."""


def written_moment(at: datetime) -> str:
    """Write a time: UTC, milliseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def payload(event: Event) -> dict[str, Any]:
    """Return what is told of an event: ``type``, ``time``, ``tenantId``, ``id``, ``data``."""
    return {
        "type": event.kind,
        "time": written_moment(event.at),
        "tenantId": event.tenant_id,
        "id": event.id,
        "data": strict_json.decode_any(event.details.encode()),
    }


def body_of(event: Event) -> bytes:
    """Write an event, within ``MOST_BYTES``."""
    told = payload(event)
    body = strict_json.encode(told)
    if len(body) > MOST_BYTES:
        told["data"] = told["data"] | {"details": None, "detailsOmitted": True}
        body = strict_json.encode(told)
    return body
