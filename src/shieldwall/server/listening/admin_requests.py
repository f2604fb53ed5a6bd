"""Every request on the public port: it gets a name, a line in the log and a place in the numbers.

A look at health or numbers that finds all well gets no line.

The line says who asked for which route with which outcome. It never holds a query, a body or a header's credentials.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

import structlog
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram

from shieldwall.server.access.authorization import Principal
from shieldwall.server.observing.tracing import NoTracing, Spanned, Tracing

UNROUTED: Final = "none"
UNLOGGED_BELOW: Final = "/downloads/"
"""Below this an address opens by itself what it names, so nobody shall read the rest of it in a log."""
_LOOKED_AT: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_CLIENT_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")
_KEY: Final = "shieldwall.request"


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request under way. ``client_request_id`` is the client's own name for it where that is a plain one."""

    request_id: str
    client_request_id: str
    status: int = 0
    error: str | None = None


def record_of(scope: Any) -> RequestRecord:
    """Return the record of the request with this scope."""
    record = scope[_KEY]
    assert isinstance(record, RequestRecord), "every request passes WatchedRequests first"
    return record


def allowed_methods(error: HTTPException) -> dict[str, str]:
    """Return the header Allow where the framework gave one to an error, as it does with 405."""
    found = [value for name, value in (error.headers or {}).items() if name.lower() == "allow"]
    return {"Allow": found[0]} if found else {}


class AdminMeasures:
    """Counters of the administrators' front doors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "shieldwall_admin_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "shieldwall_admin_request_seconds", "Time to the answer.", ["route"], buckets=_SECONDS, registry=registry
        )

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; a caller that went away before the answer has status 0."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedRequests:
    """Hands on every request under a name, and notes how it ended."""

    application: ASGIApp
    measures: AdminMeasures
    new_request_id: Callable[[], str]
    tracing: Tracing = field(default_factory=NoTracing)
    log: Any = field(default_factory=structlog.get_logger)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one lifespan."""
        if scope["type"] != ScopeType.HTTP:
            await self.application(scope, receive, send)
            return
        request_id = self.new_request_id()
        record = RequestRecord(request_id=request_id, client_request_id=_client_request_id(scope) or request_id)
        names = [
            (b"request-id", record.request_id.encode()),
            (b"client-request-id", record.client_request_id.encode()),
        ]
        scope[_KEY] = record  # type: ignore[typeddict-unknown-key]  # ASGI lets applications add keys of their own

        async def send_named(message: Any) -> None:
            if message["type"] == "http.response.start":
                record.status = int(message["status"])  # a framework may hand on a name for it, which a log would show
                message["headers"] = [*message.get("headers", ()), *names]
            await send(message)

        started = perf_counter()
        with self.tracing.request("request") as span:
            try:
                await self.application(scope, receive, send_named)
            finally:
                self._note(scope, record, perf_counter() - started, span)

    def _note(self, scope: Any, record: RequestRecord, seconds: float, span: Spanned) -> None:
        route = scope.get("path_template") or UNROUTED
        method = scope["method"] if scope["method"] in _METHODS else "other"
        known = {"http.request.method": method, "http.route": route, "http.response.status_code": record.status}
        span.ended(f"{method} {route}", **known, **{"shieldwall.request_id": record.request_id})
        self.measures.count(route, method, record.status, seconds)
        if route in _LOOKED_AT and record.status == HTTPStatus.OK:
            return  # asked every few seconds for ever: a log says what happens
        caller = scope.get("user")
        self.log.info(
            "request",
            request_id=record.request_id,
            client_request_id=record.client_request_id,
            method=scope["method"][:16],
            route=route,
            path=_shown(scope["path"]),
            status=record.status,
            error=record.error,
            caller=caller.actor if isinstance(caller, Principal) else None,
            milliseconds=round(seconds * 1000, 1),
        )


def _shown(path: str) -> str:
    place = path.find(UNLOGGED_BELOW)
    return (path if place < 0 else path[: place + len(UNLOGGED_BELOW)])[:256]


def _client_request_id(scope: Any) -> str:
    offered = [value for name, value in scope["headers"] if name == b"client-request-id"]
    return offered[0].decode("ascii") if len(offered) == 1 and _CLIENT_ID.match(offered[0]) else ""
