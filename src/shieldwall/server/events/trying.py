"""Sending to a webhook while somebody waits: to see whether it takes anything, or an event once more."""

from __future__ import annotations

import asyncio
from typing import Final

from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.acting import Acting
from shieldwall.server.events import webhooks
from shieldwall.server.events.parcels import Parcel, webhook_parcel
from shieldwall.server.events.sealing import SecretBox
from shieldwall.server.events.sending import send
from shieldwall.server.events.settling import Sent, delivery_of
from shieldwall.server.storage.events import receivers
from shieldwall.server.storage.events.receivers import DeliveryState

ATTEMPT_SECONDS: Final = 10.0


def box_of(services: AdminServices) -> SecretBox:
    """Return what seals the secrets of receivers."""
    return SecretBox.from_file(services.settings.nonce_key)


async def ping(services: AdminServices, acting: Acting, webhook_id: str) -> Sent:
    """Send a ``webhook.ping`` now. Raises: NotFoundError."""
    return await _send(services, await asyncio.to_thread(_ping, services, acting, webhook_id))


async def redeliver(services: AdminServices, webhook_id: str, event_id: str) -> Sent:
    """Send an event that is still kept once more, and keep what came of it.

    Raises:
        NotFoundError: There is no such webhook or event, or the event is not kept any more.
    """
    parcel = await asyncio.to_thread(_again, services, webhook_id, event_id)
    sent = await _send(services, parcel)
    await asyncio.to_thread(_keep, services, parcel, sent)
    return sent


async def _send(services: AdminServices, parcel: Parcel) -> Sent:
    return await send(services.outgoing, services.clock.now, parcel, seconds=ATTEMPT_SECONDS)


def _ping(services: AdminServices, acting: Acting, webhook_id: str) -> Parcel:
    with services.database.read() as connection:
        webhook = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
    return webhook_parcel(box_of(services), webhook, webhooks.ping_event(acting, webhook), services.clock.now())


def _again(services: AdminServices, webhook_id: str, event_id: str) -> Parcel:
    with services.database.read() as connection:
        webhook = webhooks.get_webhook(connection, services.tenant.id, webhook_id)
        event = webhooks.event_to_redeliver(connection, services.tenant.id, event_id)
    return webhook_parcel(box_of(services), webhook, event, services.clock.now())


def _keep(services: AdminServices, parcel: Parcel, sent: Sent) -> None:
    state = DeliveryState.SUCCEEDED if sent.attempt.succeeded else DeliveryState.FAILED
    with services.database.write() as connection:
        if receivers.find_any(connection, parcel.receiver.id) is not None:
            for event in parcel.events:
                receivers.keep_delivery(connection, delivery_of(parcel.receiver, event, sent, state))
