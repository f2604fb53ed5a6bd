"""A request is in one thread from its guard to its answer, and nowhere else than there or on the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from litestar import Litestar, Response, Router, get, post
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import RawBody
from litestar.types import ASGIApp, ControllerRouterHandler
from tests.support.admin import admin_routes

from shieldwall.server.admin.declared_routes import handlers_of
from shieldwall.server.graph.app import is_graph_path
from shieldwall.server.graph.defender.errors import is_defender_path
from shieldwall.server.listening.admin_front import AdminFront
from shieldwall.server.listening.connections import ConnectionGuard
from shieldwall.server.listening.one_thread import InOneThread, called_there, is_in_thread


@dataclass
class Seen:
    """Who ran where."""

    threads: dict[str, int] = field(default_factory=dict)

    def note(self, what: str) -> None:
        """Note in which thread something runs."""
        self.threads[what] = threading.get_ident()


def application(seen: Seen, *handlers: ControllerRouterHandler, guard: Any = None) -> ASGIApp:
    async def noting(_connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        seen.note("guard")

    def part() -> str:
        seen.note("part")
        return "part"

    def answer(_request: object, error: Exception) -> Response[str]:
        seen.note("error")
        return Response(f"{type(error).__name__}: {error}", status_code=418, media_type="text/plain")

    router = Router(
        path="/",
        route_handlers=called_there(handlers),
        guards=[guard or noting],
        middleware=[InOneThread],
        dependencies={"part": Provide(part, sync_to_thread=False)},
        exception_handlers={Exception: answer},
    )
    return AdminFront(
        application=Litestar([router], openapi_config=None, logging_config=None),
        addresses={"localhost": "http://localhost"},
        connections=ConnectionGuard(8443, lambda: 0.0),
    )


def ask(application: ASGIApp, content: bytes | None = None) -> httpx.Response:
    async def asking() -> httpx.Response:
        async with _client(application) as client:
            return await (client.get("/") if content is None else client.post("/", content=content))

    return asyncio.run(asking())


@asynccontextmanager
async def _client(application: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]  # the same protocol, other names
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("may_wait", [True, False])
def test_guard_parts_and_a_plain_handler_share_one_thread(may_wait: bool) -> None:
    seen = Seen()

    @post("/", sync_to_thread=may_wait)
    def handler(part: NamedDependency[str], body: RawBody) -> bytes:
        seen.note("handler")
        return part.encode() + bytes(body)

    answer = ask(application(seen, handler), b" and body")

    assert (answer.status_code, answer.content) == (201, b"part and body")
    assert seen.threads.keys() == {"guard", "part", "handler"}
    assert len({*seen.threads.values()}) == 1
    assert threading.get_ident() not in seen.threads.values()


def _failing_handler(seen: Seen) -> ControllerRouterHandler:
    @get("/", sync_to_thread=True)
    def handler() -> str:
        seen.note("handler")
        raise ValueError("no")

    return handler


def test_an_error_is_written_in_the_thread_where_it_was_raised() -> None:
    seen = Seen()
    answer = ask(application(seen, _failing_handler(seen)))

    assert (answer.status_code, answer.text) == (418, "ValueError: no")
    assert seen.threads["error"] == seen.threads["handler"] != threading.get_ident()


def test_whoever_the_guard_refuses_reaches_no_handler() -> None:
    seen = Seen()

    async def refusing(_connection: object, _handler: object) -> None:
        raise PermissionError("not you")

    answer = ask(application(seen, _failing_handler(seen), guard=refusing))

    assert (answer.status_code, answer.text) == (418, "PermissionError: not you")
    assert seen.threads.keys() == {"error"}


def test_a_handler_that_is_a_coroutine_stays_on_the_loop_and_its_guard_may_leave_it() -> None:
    seen = Seen()

    @get("/")
    async def handler() -> str:
        seen.note("handler")
        await asyncio.sleep(0)
        return "done"

    async def leaving(_connection: object, handler: BaseRouteHandler) -> None:
        assert not is_in_thread(handler)
        await sync_to_thread(seen.note, "guard")

    assert ask(application(seen, handler, guard=leaving)).text == "done"
    assert seen.threads["handler"] == threading.get_ident() != seen.threads["guard"]


@pytest.mark.parametrize("waiting", [lambda: asyncio.sleep(0), lambda: sync_to_thread(int)])
def test_what_needs_the_loop_fails_in_a_thread(waiting: Callable[[], Any]) -> None:
    seen = Seen()

    async def guard(_connection: object, _handler: object) -> None:
        await waiting()

    answer = ask(application(seen, _failing_handler(seen), guard=guard))

    assert answer.status_code in {418, 500}
    assert "handler" not in seen.threads


def test_no_plain_handler_of_the_apis_is_sent_to_another_thread() -> None:
    of_apis = [
        (method, route.path, handler)
        for method, route, handler in handlers_of(admin_routes())
        if is_graph_path(route.path) or is_defender_path(route.path)
    ]
    sent_away = [
        (method, path)
        for method, path, handler in of_apis
        if not is_in_thread(handler) and not asyncio.iscoroutinefunction(handler.fn)
    ]
    assert of_apis
    assert not sent_away
    assert all(InOneThread in handler.resolve_middleware() for _, _, handler in of_apis)
