"""The log of administrators' requests says what happens, and not that somebody looks whether anything does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shieldwall.server.listening.admin_requests import AdminMeasures, WatchedRequests


class Log:
    def __init__(self) -> None:
        self.routes: list[str] = []

    def info(self, _event: str, *, route: str, **_known: Any) -> None:
        self.routes.append(route)


@pytest.mark.parametrize(
    ("route", "status", "is_told"),
    [
        ("/metrics", 200, False),
        ("/healthz", 200, False),
        ("/readyz", 200, False),
        ("/readyz", 503, True),
        ("/metrics", 421, True),
        ("/v1.0/groups", 200, True),
    ],
)
def test_a_look_that_finds_all_well_is_counted_and_not_told(route: str, status: int, is_told: bool) -> None:
    log, registry = Log(), CollectorRegistry()

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        scope["path_template"] = route
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def send(_message: Any) -> None:
        pass

    watched = WatchedRequests(
        application=application, measures=AdminMeasures(registry), new_request_id=lambda: "r-1", log=log
    )
    scope: Any = {"type": "http", "method": "GET", "path": route, "headers": []}
    asyncio.run(watched(scope, send, send))  # type: ignore[arg-type]  # nothing is received

    assert log.routes == ([route] if is_told else [])
    labels = {"route": route, "method": "GET", "status": str(status)}
    assert registry.get_sample_value("shieldwall_admin_requests_total", labels) == 1
