"""Beside the administrators' front door, what is in memory follows the database: every second, until cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from shieldwall.server.reporting.following import FleetReports

EVERY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Has fleets follow what changes."""

    fleets: FleetReports
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Follow until cancelled. What fails is tried again in the next round; meanwhile the database answers."""
        while True:
            await self.sleep(EVERY_SECONDS)
            await asyncio.to_thread(self.once)

    def once(self) -> None:
        """Follow one time."""
        try:
            self.fleets.follow()
        except Exception:  # noqa: BLE001 - written down, and tried again
            structlog.get_logger().exception("fleets_not_followed")
