"""Keeping history: beside the administrators' front door, each tenant once a day, soon after midnight of UTC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.reporting.following import FleetReports
from shieldwall.server.reporting.history.files import HistoryFiles, duckdb_connection
from shieldwall.server.reporting.history.rows import day_of
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.tenants import tenants

FIRST_AFTER_SECONDS: Final = 120.0
EVERY_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingHistory:
    """Writes what fleets are, for those who will ask what they were."""

    database: Database
    fleets: FleetReports
    files: HistoryFiles
    clock: Clock
    days: int
    device_days: int
    note: Callable[[bool], None]
    """Hears after each pass whether the day of every tenant is there."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Write once a day, until cancelled. Without DuckDB nothing is written, and the log says so once."""
        try:
            with duckdb_connection():
                pass
        except ShieldwallError as error:
            structlog.get_logger().error("history_not_kept", cause=error.cause, remedy=error.advice)
            self.note(False)
            return
        await self.sleep(FIRST_AFTER_SECONDS)
        while True:
            await asyncio.to_thread(self.once)
            await self.sleep(EVERY_SECONDS)

    def once(self) -> None:
        """Write the day of every tenant of which it is not there yet, and let go of what is old enough."""
        log, today, is_whole = structlog.get_logger(), self.clock.now().date(), True
        with self.database.read() as connection:
            found = tenants.list_tenants(connection)
        for tenant in found:
            try:
                if today not in self.files.days(tenant.id):
                    self.keep(tenant.id)
            except ShieldwallError as error:
                log.warning("history_not_kept", tenant=tenant.id, code=error.code, cause=error.cause)
                is_whole = False
            except Exception:
                log.exception("history_not_kept", tenant=tenant.id)
                is_whole = False
        try:
            self.files.tidy(today, days=self.days, device_days=self.device_days)
        except OSError:
            log.exception("history_not_tidied")
        self.note(is_whole)

    def keep(self, tenant_id: TenantId) -> None:
        """Write the day of one tenant. Raises: HistoryMissingError, DiskTooFullError, TooVariedError."""
        fleet = self.fleets.read_now(tenant_id)
        with self.database.read() as connection:
            names = policies.names(connection, tenant_id)
        day = day_of(fleet, names)
        if day is not None:
            size = self.files.keep(day)
            structlog.get_logger().info("history_kept", tenant=tenant_id, devices=len(day.listed), bytes=size)
