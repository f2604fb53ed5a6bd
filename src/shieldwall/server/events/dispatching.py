"""Bringing events to receivers: one courier a receiver, so that a slow one holds up nobody but itself.

A round asks who is due and sends a courier to each; a courier goes on until nothing is left or something failed. The
event loop only ever waits for sockets: the database is asked on threads. How many requests are under way at once is
capped, and for each tenant too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.events.judging import Attempt, Delivered, Draw, LeaveOut, Verdict
from shieldwall.server.events.measures import EventMeasures
from shieldwall.server.events.parcels import Nothing, Parcel, next_parcel, unsent
from shieldwall.server.events.sealing import SealedSecretError, SecretBox
from shieldwall.server.events.sending import send
from shieldwall.server.events.settling import Sent, settle
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.receivers import Receiver

ACTOR: Final = "events"
EVERY_SECONDS: Final = 1.0
_LOOK_EVERY: Final = 15
"""Rounds."""
MOST_AT_ONCE: Final = 64
MOST_OF_A_TENANT: Final = 8


@dataclass(kw_only=True)
class Dispatching:
    """Brings events to receivers. Make one for the process that serves administrators."""

    services: AdminServices
    box: SecretBox
    draw: Draw
    measures: EventMeasures
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _couriers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _all: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))
    _of_tenant: dict[TenantId, asyncio.Semaphore] = field(default_factory=dict)

    async def run(self) -> None:
        """Go round until cancelled. What fails is tried again in the next round."""
        log, rounds = structlog.get_logger(), 0
        try:
            while True:
                try:
                    await self.send_couriers()
                    if rounds % _LOOK_EVERY == 0:
                        await asyncio.to_thread(self.look_over)
                except ShieldwallError as error:
                    log.warning("events_not_read", code=error.code, cause=error.cause)
                except Exception:
                    log.exception("events_not_read")
                rounds += 1
                await self.sleep(EVERY_SECONDS)
        finally:
            for courier in self._couriers.values():
                courier.cancel()

    async def send_couriers(self) -> None:
        """Send a courier to every receiver that is due and has none."""
        for receiver_id in await asyncio.to_thread(self._due):
            if receiver_id not in self._couriers:
                courier = asyncio.create_task(self._bring(receiver_id))
                self._couriers[receiver_id] = courier
                courier.add_done_callback(lambda _, gone=receiver_id: self._couriers.pop(gone, None))  # type: ignore[misc]

    def look_over(self) -> None:
        """Export how receivers are doing, and forget subscriptions whose time is over."""
        now = self.services.clock.now()
        with self.services.database.read() as connection:
            self.measures.standing(receivers.standings(connection))
            expired = receivers.count_expired(connection, now)
        if expired:
            with self.services.database.write() as connection:
                receivers.remove_expired(connection, now)

    async def drained(self) -> None:
        """Send couriers and wait until all that are under way are back."""
        await self.send_couriers()
        while self._couriers:
            await asyncio.gather(*self._couriers.values(), return_exceptions=True)
            await asyncio.sleep(0)

    async def _bring(self, receiver_id: str) -> None:
        try:
            while (parcel := await asyncio.to_thread(self._next, receiver_id)) is not None:
                sent = await self._send(parcel)
                verdict = await asyncio.to_thread(self._settle, parcel, sent)
                if not isinstance(verdict, Delivered | LeaveOut):
                    return
        except ShieldwallError as error:
            structlog.get_logger().warning(
                "events_not_delivered", receiver=receiver_id, code=error.code, cause=error.cause
            )
        except Exception:  # noqa: BLE001 - whatever it is, the others go on and the next round tries again
            structlog.get_logger().exception("events_not_delivered", receiver=receiver_id)

    async def _send(self, parcel: Parcel) -> Sent:
        tenant = self._of_tenant.setdefault(parcel.receiver.tenant_id, asyncio.Semaphore(MOST_OF_A_TENANT))
        async with tenant, self._all:
            return await send(self.services.outgoing, self.services.clock.now, parcel)

    def _due(self) -> tuple[str, ...]:
        now = self.services.clock.now()
        with self.services.database.read() as connection:
            return receivers.due(connection, now)

    def _next(self, receiver_id: str) -> Parcel | None:
        now, database = self.services.clock.now(), self.services.database
        with database.read() as connection:
            receiver = receivers.find_any(connection, receiver_id)
            if receiver is None or not _may_have(receiver, now):
                return None
            try:
                found: Parcel | Nothing | Attempt = next_parcel(connection, self.box, receiver, now)
            except SealedSecretError as error:
                found = Attempt(status=None, cause=error.cause)
        if isinstance(found, Attempt):
            self._settle(unsent(receiver), Sent(attempt=found, begun_at=now, took=timedelta()))
            return None
        if isinstance(found, Parcel):
            return found
        with database.write() as connection:
            receivers.move_past(connection, receiver, found.up_to)
        return None

    def _settle(self, parcel: Parcel, sent: Sent) -> Verdict | None:
        acting = self.services.acting(ACTOR).within(parcel.receiver.tenant_id)
        with self.services.database.write() as connection:
            verdict = settle(connection, acting, parcel, sent, self.draw)
        self.measures.attempted(parcel.receiver.sort, succeeded=sent.attempt.succeeded)
        if not sent.attempt.succeeded:
            structlog.get_logger().info(
                "event_refused", receiver=parcel.receiver.id, status=sent.attempt.status, cause=sent.attempt.cause
            )
        return verdict


def _may_have(receiver: Receiver, now: datetime) -> bool:
    waits = receiver.next_attempt_at is not None and receiver.next_attempt_at > now
    ended = receiver.expires_at is not None and receiver.expires_at <= now
    return receiver.enabled and not waits and not ended
