"""What the server measures of telling others, for Prometheus."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from shieldwall.server.storage.events.receivers import Sort, Standing


class EventMeasures:
    """Numbers of receivers and of the audit stream."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "shieldwall_event_deliveries",
            "Requests sent to receivers.",
            ["sort", "outcome"],
            registry=registry,
        )
        self._receivers = Gauge(
            "shieldwall_event_receivers", "Receivers by how they are doing.", ["sort", "state"], registry=registry
        )
        self._lag = Gauge(
            "shieldwall_event_lag", "Events that the receiver furthest behind waits for.", ["sort"], registry=registry
        )
        self._streamed = Counter(
            "shieldwall_stream_events", "Events written to sinks of the audit stream.", ["stream"], registry=registry
        )
        self._stream_failures = Counter(
            "shieldwall_stream_failures", "Attempts to write to a sink that failed.", ["stream"], registry=registry
        )
        self._stream_lag = Gauge(
            "shieldwall_stream_lag", "Events that a sink of the audit stream waits for.", ["stream"], registry=registry
        )

    def attempted(self, sort: Sort, *, succeeded: bool) -> None:
        """Count a request to a receiver."""
        self._attempts.labels(sort.value, "delivered" if succeeded else "failed").inc()

    def standing(self, receivers: Iterable[Standing]) -> None:
        """Export how all receivers are doing."""
        states = Counted({(sort.value, state): 0 for sort in Sort for state in ("well", "failing", "off", "paused")})
        lags = dict.fromkeys(Sort, 0)
        for each in receivers:
            states[each.sort.value, _state_of(each)] += 1
            if each.enabled:
                lags[each.sort] = max(lags[each.sort], each.lag)
        for (sort, state), count in states.items():
            self._receivers.labels(sort, state).set(count)
        for sort, lag in lags.items():
            self._lag.labels(sort.value).set(lag)

    def streamed(self, stream: str, count: int) -> None:
        """Count events that a sink took."""
        self._streamed.labels(stream).inc(count)

    def stream_failed(self, stream: str) -> None:
        """Count an attempt that a sink did not take."""
        self._stream_failures.labels(stream).inc()

    def stream_lag(self, stream: str, lag: int) -> None:
        """Export how far behind a sink is."""
        self._stream_lag.labels(stream).set(lag)


def _state_of(receiver: Standing) -> str:
    if not receiver.enabled:
        return "off" if receiver.switched_off else "paused"
    return "failing" if receiver.failures else "well"
