"""Sweeping: beside the administrators' front door, devices are brought to what changed that do not come by themselves.

It takes a portion at a time, and rests after it as long as that took: whoever else writes has at least half of the
time. Of several such processes on one database one does it, until it falls silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.manager.catching_up import CATCHING_UP, Unmoved, not_known
from shieldwall.server.manager.sweeping import look, sweep
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tenants import tenants

IDLE_SECONDS: Final = 2.0
"""How soon it is noticed that there is something to do."""
LEAST_REST_SECONDS: Final = 0.02
OTHERS_SECONDS: Final = 5.0
"""How long to leave alone what another process is at, or what failed."""


class Swept(Enum):
    """What came of a portion."""

    SOMETHING = auto()
    NOTHING = auto()
    """Nobody is behind."""
    ELSEWHERE = auto()
    """Another process is at it."""


class SweepMeasures:
    """What is measured of catching up, for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._swept = Counter(
            "shieldwall_swept_devices", "Devices that the server brought to what changed.", registry=registry
        )
        self._behind = Gauge(
            "shieldwall_devices_behind", "Devices that have not taken up yet what changed, at most.", registry=registry
        )
        self._known: dict[TenantId, int] = {}

    def swept(self, devices: int) -> None:
        """Count devices that were brought up to date."""
        self._swept.inc(devices)

    def open(self, tenant_ids: Iterable[TenantId]) -> None:
        """Forget all tenants but these: whoever brought the last device of another up to date, none is behind there."""
        self._known = {tenant: self._known.get(tenant, 0) for tenant in tenant_ids}
        self._behind.set(sum(self._known.values()))

    def behind(self, tenant_id: TenantId, devices: int) -> None:
        """Export how many devices of a tenant are behind."""
        self._known[tenant_id] = devices
        self._behind.set(sum(self._known.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeping:
    """Goes round the devices of all tenants where something changed for many."""

    services: AdminServices
    measures: SweepMeasures
    holder: str
    """The id of this process."""
    unmoved: Unmoved = not_known
    """Says whose target need not be computed, where the targeting index is there to ask."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Bring devices up to date, until cancelled. What fails is tried again."""
        while True:
            rests = [await self._portion(tenant) for tenant in await asyncio.to_thread(self.open_tenants)]
            await self.sleep(min(rests, default=IDLE_SECONDS))

    def open_tenants(self) -> tuple[Tenant, ...]:
        """Return the tenants of which devices may be behind; none where the database cannot say."""
        try:
            with self.services.database.read() as connection:
                found = tuple(tenants.get(connection, each) for each in aims.open_tenants(connection))
        except ShieldwallError as error:
            structlog.get_logger().warning("sweep_failed", code=error.code, cause=error.cause)
            return ()
        self.measures.open(each.id for each in found)
        return found

    def portion(self, tenant: Tenant) -> Swept:
        """Bring one portion of a tenant's devices up to date."""
        services = self.services.of(tenant)
        with services.database.read() as connection:
            looked = look(connection, tenant.id)
        if looked is None:
            self.measures.behind(tenant.id, 0)
            return Swept.NOTHING
        with services.database.write() as connection:
            reached = sweep(connection, services.acting(CATCHING_UP), looked, self.holder, self.unmoved)
        if reached is None:
            return Swept.ELSEWHERE
        self.measures.swept(len(reached))
        self.measures.behind(tenant.id, max(0, (looked.at.behind or 0) - len(reached)))
        return Swept.SOMETHING

    async def _portion(self, tenant: Tenant) -> float:
        """Bring one portion up to date, and return how long to rest after it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            swept = await asyncio.to_thread(self.portion, tenant)
        except ShieldwallError as error:
            structlog.get_logger().warning("sweep_failed", tenant=tenant.id, code=error.code, cause=error.cause)
            return OTHERS_SECONDS
        except Exception:  # noqa: BLE001 - written down, and the other tenants have their turn
            structlog.get_logger().exception("sweep_failed", tenant=tenant.id)
            return OTHERS_SECONDS
        match swept:
            case Swept.SOMETHING:
                return max(LEAST_REST_SECONDS, loop.time() - began)
            case Swept.NOTHING:
                return IDLE_SECONDS
            case Swept.ELSEWHERE:
                return OTHERS_SECONDS
