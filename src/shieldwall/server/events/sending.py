"""Sending a parcel once, and telling what came of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from shieldwall.server.events.judging import Attempt
from shieldwall.server.events.parcels import Parcel
from shieldwall.server.events.settling import Sent
from shieldwall.server.outgoing.client import Outgoing
from shieldwall.server.outgoing.errors import InvalidReceiverError, ReceiverRefusedError, ReceiverUnreachableError

ANSWER_SECONDS: Final = 15.0
_MOST_ANSWER_BYTES: Final = 4 * 1024


async def send(
    outgoing: Outgoing, now: Callable[[], datetime], parcel: Parcel, *, seconds: float = ANSWER_SECONDS
) -> Sent:
    """Send a parcel. Nothing is raised for a receiver that cannot be asked: that is an attempt like any other."""
    begun_at = now()
    try:
        answer = await outgoing.fetch(
            "POST",
            parcel.url,
            headers=parcel.headers,
            body=parcel.body,
            timeout=seconds,
            max_bytes=_MOST_ANSWER_BYTES,
        )
    except (InvalidReceiverError, ReceiverRefusedError, ReceiverUnreachableError) as error:
        attempt = Attempt(status=None, cause=error.cause)
    else:
        attempt = Attempt(status=answer.status, retry_after=answer.headers.get("retry-after", ""))
    return Sent(attempt=attempt, begun_at=begun_at, took=now() - begun_at)
