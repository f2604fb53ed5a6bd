"""Bringing every event to the sinks: one courier a sink, in the order of commits, with a cursor in the database.

A batch is read once the one before it was taken, so a slow sink never makes the server hold more than one batch of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_OID, uuid5

import structlog

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.events.judging import Draw
from shieldwall.server.events.kinds import MISSED
from shieldwall.server.events.measures import EventMeasures
from shieldwall.server.events.streams.sinks import Sink
from shieldwall.server.storage.engine import outbox
from shieldwall.server.storage.engine.outbox import Event
from shieldwall.server.storage.events import stream_cursors
from shieldwall.server.storage.events.stream_cursors import StreamCursor

BATCH: Final = 500
EVERY_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A sink, its name, and whose events it gets: one tenant's, or everybody's."""

    name: str
    sink: Sink
    tenant_id: TenantId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """Brings events to sinks."""

    services: AdminServices
    streams: Sequence[Stream]
    draw: Draw
    measures: EventMeasures
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Go on until cancelled."""
        await asyncio.gather(*(self._follow(stream) for stream in self.streams))

    async def once(self, stream: Stream) -> int:
        """Bring a batch to a sink; return how many events that were.

        Raises:
            SinkFailedError: The sink did not take it; it is offered again.
            StorageUnavailableError: The database cannot serve.
        """
        cursor, events, up_to = await asyncio.to_thread(self._batch, stream)
        if events:
            await stream.sink.write(events)
            self.measures.streamed(stream.name, len(events))
        if up_to > cursor.cursor or cursor.missed:
            await asyncio.to_thread(self._move, cursor, up_to)
        return len(events)

    async def _follow(self, stream: Stream) -> None:
        failures = 0
        try:
            while True:
                try:
                    brought = await self.once(stream)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                    failures += 1
                    self.measures.stream_failed(stream.name)
                    cause = error.cause if isinstance(error, ShieldwallError) else repr(error)
                    structlog.get_logger().warning("stream_failed", stream=stream.name, cause=cause, failures=failures)
                    pause = min(2 ** min(failures, 10), LONGEST_PAUSE_SECONDS)
                    await self.sleep(pause * self.draw(800, 1_200) / 1_000)
                else:
                    failures = 0
                    if brought < BATCH:
                        await self.sleep(EVERY_SECONDS)
        finally:
            await stream.sink.close()

    def _batch(self, stream: Stream) -> tuple[StreamCursor, tuple[Event, ...], int]:
        cursor = self._cursor(stream)
        with self.services.database.read() as connection:
            newest = outbox.newest(connection)
            events = outbox.read(connection, cursor.cursor, BATCH, tenant_id=stream.tenant_id)
        up_to = events[-1].sequence if events else newest
        self.measures.stream_lag(stream.name, newest - up_to)
        if cursor.missed:
            events = (_missed(cursor, self.services.clock.now()), *events)
        return cursor, events, up_to

    def _cursor(self, stream: Stream) -> StreamCursor:
        home, database = self.services.settings.tenant_id, self.services.database
        with database.read() as connection:
            found = stream_cursors.find(connection, home, stream.name)
        if found is not None:
            return found
        with database.write() as connection:  # a new sink hears of what happens from now on
            stream_cursors.begin(connection, home, stream.name, outbox.newest(connection), self.services.clock.now())
            begun = stream_cursors.find(connection, home, stream.name)
        assert begun is not None, "it was just written"
        return begun

    def _move(self, cursor: StreamCursor, up_to: int) -> None:
        with self.services.database.write() as connection:
            stream_cursors.move(connection, cursor, up_to, self.services.clock.now())


def _missed(cursor: StreamCursor, now: datetime) -> Event:
    details = outbox.told(actor="server", kind="stream", object_id=cursor.stream, details={"count": cursor.missed})
    event_id = str(uuid5(NAMESPACE_OID, f"{cursor.stream} {cursor.cursor} {cursor.missed}"))
    return Event(id=event_id, tenant_id=cursor.tenant_id, at=now, kind=MISSED, details=details)
