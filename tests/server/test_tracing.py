"""Traces reach a collector as it understands them, belong together, and hold nothing that is nobody's business."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode
from shieldwall.server.configuration.settings_file import TelemetrySettings
from shieldwall.server.observing.tracing import NoTracing, TelemetryMissingError, open_tracing


@dataclass
class Collector:
    """A program that takes OTLP over HTTP and keeps what it is sent."""

    endpoint: str = ""
    spans: list[Any] = field(default_factory=list)
    services: set[str] = field(default_factory=set)

    def named(self, name: str) -> Any:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in told.resource_spans:
                collector.services |= {
                    each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
                }
                collector.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_words: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def always_lowest(lowest: int, _highest: int) -> int:
    return lowest


def test_a_request_and_what_it_asked_of_the_database_are_one_trace() -> None:
    engine = create_engine("sqlite://")
    with (
        collecting() as collector,
        closing(
            open_tracing(TelemetrySettings(endpoint=collector.endpoint, one_in=7), "admin", always_lowest)
        ) as traces,
    ):
        traces.follow(engine)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))  # nobody's request
        with traces.request("request") as span, engine.connect() as connection:
            connection.execute(text("SELECT :secret"), {"secret": "hidden value"})
            with pytest.raises(OperationalError):
                connection.execute(text("SELECT nothing FROM nowhere WHERE name = :secret"), {"secret": "hidden value"})
            span.ended("GET /v1.0/devices", **{"http.response.status_code": 200})
        traces.close()

        request = collector.named("GET /v1.0/devices")
        statements = [span for span in collector.spans if span.name == "SELECT"]
        assert [span.parent_span_id for span in statements] == [request.span_id] * 2
        assert {span.trace_id for span in statements} == {request.trace_id}
        assert [span.status.code for span in statements] == [0, 2]
        assert "hidden value" not in str(collector.spans)
        assert collector.services == {"shieldwall-admin"}
    engine.dispose()


def test_only_what_is_drawn_is_followed() -> None:
    drawn = iter([5, 1, 3])
    with collecting() as collector:
        traces = open_tracing(TelemetrySettings(endpoint=collector.endpoint, one_in=5), "admin", lambda *_: next(drawn))
        for number in range(3):
            with traces.request("request") as span:
                span.ended(f"request {number}")
        traces.close()

        assert [span.name for span in collector.spans] == ["request 1"]


def test_without_a_collector_nothing_is_loaded_and_nothing_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    traces = open_tracing(None, "admin", always_lowest)
    assert isinstance(traces, NoTracing)
    with traces.request("request") as span:
        span.ended("anything", status=200)
    traces.close()


def test_a_missing_extra_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(TelemetryMissingError, match="not installed"):
        open_tracing(TelemetrySettings(endpoint="http://127.0.0.1:4318/v1/traces"), "admin", always_lowest)


@pytest.mark.parametrize("endpoint", ["", "file:///etc/passwd", "127.0.0.1:4318", "http://a b"])
def test_an_endpoint_is_an_address(endpoint: str) -> None:
    with pytest.raises(InvalidJsonError):
        decode(msgspec.json.encode({"endpoint": endpoint}), TelemetrySettings)
