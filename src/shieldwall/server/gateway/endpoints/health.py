"""``/healthz``, ``/readyz`` and ``/metrics``: for whoever watches over the gateway."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from shieldwall.server.gateway.calls import Answer, Call, answer_json
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.observing.observability import METRICS_TYPE, metrics_text
from shieldwall.server.observing.readiness import Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Is it alive, can it serve, how does it do."""

    readiness: Readiness
    registry: CollectorRegistry

    def routes(self) -> tuple[Route, ...]:
        """List the three paths."""
        return tuple(
            Route(method="GET", path=path, access=Access.ANYONE, lane=Lane.VITAL, handler=handler)
            for path, handler in (
                ("/healthz", self.get_health),
                ("/readyz", self.get_readiness),
                ("/metrics", self.get_metrics),
            )
        )

    async def get_health(self, _call: Call) -> Answer:
        """Answer as long as the loop turns."""
        return answer_json({"status": "alive"})

    async def get_readiness(self, _call: Call) -> Answer:
        """Say whether database and signer answer: 200 or 503, and which of them does not."""
        report = await self.readiness.check()
        return answer_json(report.shown(), status=200 if report.is_ready else 503)

    async def get_metrics(self, _call: Call) -> Answer:
        """Write all numbers for Prometheus."""
        # Beside all that waits for database or signer: in trouble these numbers are wanted most.
        text = await asyncio.to_thread(metrics_text, self.registry)
        return Answer(status=200, body=text, headers=(("content-type", METRICS_TYPE),))
