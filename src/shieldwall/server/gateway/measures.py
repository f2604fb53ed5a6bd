"""What the gateway measures of itself, for Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate
from time import perf_counter
from typing import Final, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from shieldwall.server.gateway.lanes import Lane

UNROUTED: Final = "none"
_LAG_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Measured:
    """One request under way, from entering to leaving; the route is known once it is routed."""

    __slots__ = ("_began", "_counts", "route", "status")

    def __init__(self, counts: _RequestCounts) -> None:
        self._counts = counts
        self.route = UNROUTED
        self.status = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._began = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        """Count it, however it ended."""
        self._counts.add(self.route, self.status, perf_counter() - self._began)


class _RequestCounts(Collector):
    """Counts every request in plain numbers, which the registry's own counters, made for many threads, cost tenfold.

    The event loop alone adds; whoever collects from another thread reads a copy.
    """

    def __init__(self) -> None:
        self._answered: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_SECONDS) + 1))

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._answered[route, status] += 1
        self._seconds[route] += seconds
        self._buckets[route][bisect_left(_SECONDS, seconds)] += 1

    def collect(self) -> Iterator[Metric]:
        """Hand the numbers to the registry."""
        answered = CounterMetricFamily("shieldwall_gateway_requests", "Requests answered.", labels=("route", "status"))
        for (route, status), count in list(self._answered.items()):
            answered.add_metric((route, str(status)), count)
        yield answered
        took = HistogramMetricFamily(
            "shieldwall_gateway_request_seconds",
            "Time from header to answer, waiting for a policy sync included.",
            labels=("route",),
        )
        bounds = [*map(str, _SECONDS), "+Inf"]
        for route, buckets in list(self._buckets.items()):
            took.add_metric((route,), list(zip(bounds, accumulate(buckets), strict=True)), self._seconds[route])
        yield took


class GatewayMeasures:
    """Counters of one gateway process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counts = _RequestCounts()
        registry.register(self._counts)
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

    def request(self) -> Measured:
        """Measure one request. A caller that went away before the answer is counted with status 0."""
        return Measured(self._counts)
