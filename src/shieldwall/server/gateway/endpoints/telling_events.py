"""``/device/v1/events``: a device tells what happened there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.events import MAX_EVENTS_BYTES, EventsRequest
from shieldwall.server.gateway.calls import Answer, Call
from shieldwall.server.gateway.pacing import PacedWriter
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.manager import device_events

_KEPT: Final = Answer(status=204)


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingEvents:
    """Takes events, at a pace for each device: every one leaves a trace."""

    writer: PacedWriter
    clock: Clock

    def routes(self) -> tuple[Route, ...]:
        """List the one thing there is."""
        return (
            Route(
                method="POST",
                path="/device/v1/events",
                access=Access.DEVICE,
                body_limit=MAX_EVENTS_BYTES,
                handler=self.post_events,
            ),
        )

    async def post_events(self, call: Call) -> Answer:
        """Keep events: 204 once they are on disk."""
        request = call.decoded(EventsRequest)
        device, digest, now = call.device, call.body_digest, self.clock.now()

        def record(connection: Connection) -> None:
            device_events.record(connection, device, request, digest, now)

        await self.writer.submit(device, record)
        return _KEPT
