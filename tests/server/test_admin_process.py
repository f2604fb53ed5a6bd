"""What must go on in the administrators' process while all of its requests wait for something that stands still."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Router, get
from litestar.concurrency import set_asyncio_executor
from prometheus_client import CollectorRegistry, Counter

from shieldwall.server.access.authorization import PUBLIC
from shieldwall.server.admin.parts import WithParts
from shieldwall.server.admin_application import create_admin_application
from shieldwall.server.listening.admin_front import AdminFront
from shieldwall.server.listening.connections import ConnectionGuard
from shieldwall.server.listening.one_thread import REQUESTS_AT_ONCE, InOneThread, called_there
from shieldwall.server.openapi.own import ALIVE, tells
from shieldwall.server.processes import admin_process

PATIENCE_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _threads_afterwards() -> Iterator[None]:
    yield
    set_asyncio_executor(None)


@pytest.mark.parametrize("requests", [REQUESTS_AT_ONCE, 5 * REQUESTS_AT_ONCE])
def test_numbers_are_told_and_connections_watched_while_every_request_waits(
    requests: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waiting, going_on = threading.Semaphore(0), threading.Event()
    seen: list[str] = []

    @get("/waits", opt={**PUBLIC, **tells(ALIVE)}, sync_to_thread=True)
    def wait() -> dict[str, str]:
        waiting.release()
        assert going_on.wait(PATIENCE_SECONDS)
        return {"status": "alive"}

    numbers = CollectorRegistry()
    Counter("waited", "Requests that waited.", registry=numbers).inc(requests)
    routes = Router(path="/", route_handlers=called_there([wait]), middleware=[InOneThread])
    application = AdminFront(
        application=WithParts(create_admin_application([routes]), {CollectorRegistry: numbers}),
        addresses={"localhost": "http://localhost"},
        connections=ConnectionGuard(8443, lambda: 0.0),
    )

    async def serve(data: Path) -> None:
        assert data == tmp_path
        transport = httpx.ASGITransport(application)  # type: ignore[arg-type]  # the same protocol, other names
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            asked = [asyncio.ensure_future(client.get("/waits")) for _ in range(requests)]
            await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE_SECONDS / 2):
                for _ in range(REQUESTS_AT_ONCE):
                    assert await asyncio.to_thread(waiting.acquire, True, PATIENCE_SECONDS / 4)
                seen.append((await client.get("/metrics")).text)
            going_on.set()
            seen.extend(str(answer.status_code) for answer in await asyncio.gather(*asked))

    monkeypatch.setattr(admin_process, "serve", serve)
    admin_process.begin(tmp_path)

    assert f"waited_total {float(requests)}" in seen[0]
    assert seen[1:] == ["200"] * requests
