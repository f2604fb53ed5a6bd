"""Setting up webhooks, letting things happen, and bringing them to receivers one round at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from tests.support.admin import AdminWorld
from tests.support.receivers import Receiver as RealReceiver
from tests.support.samples import counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.events.dispatching import Dispatching
from shieldwall.server.events.measures import EventMeasures
from shieldwall.server.events.sealing import SecretBox
from shieldwall.server.events.webhooks import WebhookChange, create_webhook, get_webhook, list_deliveries
from shieldwall.server.storage.events.receivers import Delivery, Receiver


def middle(least: int, most: int) -> int:
    """Chance that never strays."""
    return (least + most) // 2


@dataclass
class Office:
    """A tenant that tells others what happens."""

    world: AdminWorld
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    @property
    def box(self) -> SecretBox:
        return SecretBox.from_file(self.world.services.settings.nonce_key)

    @property
    def tenant_id(self) -> TenantId:
        return self.world.services.tenant.id

    def dispatching(self) -> Dispatching:
        return Dispatching(
            services=self.world.services, box=self.box, draw=middle, measures=EventMeasures(CollectorRegistry())
        )

    def round(self) -> None:
        """Bring what is due, and wait until that is done."""

        async def go() -> None:
            await self.dispatching().drained()

        asyncio.run(go())

    def webhook(self, url: str, *kinds: str, name: str = "Tickets") -> tuple[Receiver, bytes]:
        services = self.world.services
        with self.world.writing() as connection:
            return create_webhook(
                connection,
                services.acting("person:Ada"),
                self.box,
                services.outgoing.rules,
                WebhookChange(display_name=name, url=url, event_kinds=kinds or ("thing.*",)),
            )

    def happen(self, *numbers: int, kind: str = "thing.happened") -> None:
        """Let numbered things happen, each in a transaction of its own."""
        for number in numbers:
            with self.world.writing() as connection:
                self.world.services.acting("person:Ada").record(connection, kind, "thing", str(number))

    def now(self, receiver: Receiver) -> Receiver:
        with self.world.services.database.read() as connection:
            return get_webhook(connection, self.tenant_id, receiver.id)

    def history(self, receiver: Receiver) -> tuple[Delivery, ...]:
        with self.world.services.database.read() as connection:
            return list_deliveries(connection, self.tenant_id, receiver.id)


def bodies(receiver: RealReceiver) -> list[dict[str, Any]]:
    return [json.loads(asked.body) for asked in receiver.seen]


def numbers(receiver: RealReceiver) -> list[int]:
    """Which of the numbered things a receiver was told of."""
    return [int(body["data"]["object"]["id"]) for body in bodies(receiver)]


def event_ids(found: Iterable[Delivery]) -> list[str]:
    return [each.event_id for each in found]


SOMETHING = counted_id("c", 1)
