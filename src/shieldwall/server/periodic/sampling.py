"""Sampling: beside the administrators' front door every tenant is counted every five minutes, for charts over time.

The first time is right after the start, so that pages of large tenants have figures soon. Whoever came since the last
time is compared with the others, so that a list of duplicates has few to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from shieldwall.server.admin.services import AdminServices
from shieldwall.server.inventory import twins
from shieldwall.server.manager import samples
from shieldwall.server.manager.figures import Fleet
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tenants import tenants

FIRST_AFTER_SECONDS: Final = 5.0
EVERY_SECONDS: Final = samples.EVERY.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Counts every tenant again and again."""

    services: AdminServices
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Count every five minutes, until cancelled. What fails is tried again in the next round."""
        await self.sleep(FIRST_AFTER_SECONDS)
        while True:
            await asyncio.to_thread(self.once)
            await self.sleep(EVERY_SECONDS)

    def once(self) -> None:
        """Count all tenants one time. One that cannot be counted does not keep the others from it."""
        with self.services.database.read() as connection:
            found = tenants.list_tenants(connection)
        for tenant in found:
            try:
                self.sample(tenant)
            except Exception:  # noqa: BLE001 - written down, and the others have their turn
                structlog.get_logger().exception("sampling_failed", tenant=tenant.id)

    def sample(self, tenant: Tenant) -> None:
        """Count one tenant, keep what its charts show, and see who of those that came has a twin."""
        services = self.services
        fleet = Fleet(database=services.database, catalog=services.catalog, tenant_id=tenant.id)
        figures = services.figures.count_now(fleet, services.clock.now())
        with services.database.write() as connection:
            samples.keep(connection, tenant.id, figures)
        twins.clear_suspects(services.database, tenant.id)
