"""The heartbeat of the event loop: how late it comes shows how long a request waits before anybody looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shieldwall.server.gateway.admission import Admission
from shieldwall.server.gateway.measures import GatewayMeasures

BEAT_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Tells admission and measures how late the loop is."""

    admission: Admission
    measures: GatewayMeasures
    monotonic: Callable[[], float]

    async def run(self) -> None:
        """Beat, for ever."""
        while True:
            due = self.monotonic() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            late = max(0.0, self.monotonic() - due)
            self.admission.lagged(late)
            self.measures.lagged(late)
