"""What the gateway measures of itself, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shieldwall.server.gateway.lanes import Lane

UNROUTED: Final = "none"
_LAG_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


@dataclass(slots=True)
class Measured:
    """One request under way; the route is known once it is routed."""

    route: str = UNROUTED
    status: int = 0


class GatewayMeasures:
    """Counters of one gateway process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "shieldwall_gateway_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "shieldwall_gateway_request_seconds",
            "Time from header to answer, waiting for a policy sync included.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._sent_away = Counter(
            "shieldwall_gateway_sent_away",
            "Requests told to come back later, by how much they matter and why.",
            ["lane", "reason"],
            registry=registry,
        )
        self._lag = Histogram(
            "shieldwall_gateway_loop_lag_seconds",
            "How late the event loop came to what was due.",
            buckets=_LAG_SECONDS,
            registry=registry,
        )
        self._registry = registry

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Export a number that somebody else keeps."""
        Gauge(f"shieldwall_gateway_{name}", description, registry=self._registry).set_function(value)

    def sent_away(self, lane: Lane, reason: str) -> None:
        """Count a request that was told to come back later; ``reason`` is the code it was given."""
        self._sent_away.labels(lane.name.lower(), reason).inc()

    def lagged(self, seconds: float) -> None:
        """Keep how late the loop was."""
        self._lag.observe(seconds)

    @contextmanager
    def request(self) -> Iterator[Measured]:
        """Measure one request. A caller that went away before the answer is counted with status 0."""
        measured = Measured()
        started = perf_counter()
        try:
            yield measured
        finally:
            self._requests.labels(measured.route, str(measured.status)).inc()
            self._seconds.labels(measured.route).observe(perf_counter() - started)
