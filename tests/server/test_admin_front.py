"""The front of the administrators' application, and that it starts only with routes that say who may call them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from litestar import get

from shieldwall.server.access.authorization import PUBLIC, UndeclaredRouteError
from shieldwall.server.admin_application import create_admin_application
from shieldwall.server.listening import admin_front
from shieldwall.server.listening.admin_front import MAX_BODY_BYTES, AdminFront
from shieldwall.server.listening.connections import ConnectionGuard
from shieldwall.server.openapi.description import UndescribedRouteError


def ask(
    messages: Iterable[dict[str, Any]] = ({"type": "http.request", "body": b"", "more_body": False},),
    *,
    hosts: tuple[bytes, ...] = (b"localhost:8443",),
    headers: tuple[tuple[bytes, bytes], ...] = (),
    silent: bool = False,
    version: str = "2",
) -> tuple[int | None, bytes]:
    """Send one request to a front; return the status and body of its answer, or what reached the application."""
    answered: list[Any] = []
    waiting = iter(messages)

    async def receive() -> Any:
        for message in waiting:
            return message
        if silent:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answered.append(message)

    async def application(_scope: Any, receive: Any, _send: Any) -> None:
        answered.extend([{"status": None}, {"body": (await receive())["body"]}])
        if not silent:
            assert (await receive())["type"] == "http.disconnect"

    front = AdminFront(
        application=application,
        addresses={"localhost:8443": "https://localhost:8443", "other.example": "https://other.example"},
        connections=ConnectionGuard(8443, lambda: 0.0),
    )
    scope: Any = {
        "type": "http",
        "path": "/",
        "client": ("127.0.0.1", 1),
        "http_version": version,
        "headers": [*((b"host", host) for host in hosts), *headers],
    }
    asyncio.run(front(scope, receive, send))
    return answered[0]["status"], answered[1]["body"]


def body(*parts: bytes) -> list[dict[str, Any]]:
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": at < last} for at, part in enumerate(parts)]


def test_a_body_that_comes_in_parts_reaches_the_application_as_a_whole() -> None:
    assert ask(body(b"one ", b"two"), headers=((b"content-length", b"7"),)) == (None, b"one two")


def test_nobody_waits_for_the_end_of_a_body_whose_length_is_known() -> None:
    begun = [{"type": "http.request", "body": part, "more_body": True} for part in (b"one ", b"two")]
    assert ask(begun, headers=((b"content-length", b"7"),), silent=True) == (None, b"one two")
    for headers, version in ((((b"content-length", b"0"),), "2"), ((), "1.1"), ((), "1.0")):
        assert ask((), headers=headers, version=version, silent=True) == (None, b"")


def test_the_end_of_a_body_that_nobody_waited_for_is_no_more_of_it() -> None:
    """The application is told next that the client has gone, see ``ask``."""
    end = {"type": "http.request", "body": b"", "more_body": False}
    begun = {"type": "http.request", "body": b"one", "more_body": True}
    assert ask([begun, end], headers=((b"content-length", b"3"),)) == (None, b"one")
    assert ask([end], version="1.1") == (None, b"")


def test_a_body_of_unknown_length_is_read_to_its_end() -> None:
    parts = body(b"one ", b"two")
    chunked = (b"transfer-encoding", b"chunked")
    assert ask(parts, headers=(chunked,), version="1.1") == (None, b"one two")
    assert ask(parts, headers=((b"content-length", b"4"), chunked), version="1.1") == (None, b"one two")
    assert ask(parts, version="2") == (None, b"one two")


def test_a_body_longer_than_was_said_never_reaches_the_application() -> None:
    assert ask(body(b"one two", b""), headers=((b"content-length", b"3"),))[0] == 400


@pytest.mark.parametrize("hosts", [(), (b"evil.example",), (b"localhost",), (b"localhost:8443", b"localhost:8443")])
def test_another_host_is_refused(hosts: tuple[bytes, ...]) -> None:
    status, answer = ask(hosts=hosts)
    assert (status, json.loads(answer)["code"]) == (421, "misdirected")


def test_a_body_that_is_too_long_is_refused_by_its_header_or_when_it_proves_so() -> None:
    assert ask(silent=True, messages=(), headers=((b"content-length", str(MAX_BODY_BYTES + 1).encode()),))[0] == 413
    assert ask(body(b"x" * MAX_BODY_BYTES, b"x"))[0] == 413
    assert ask(body(b"x" * MAX_BODY_BYTES))[0] is None


def test_a_body_that_stops_half_way_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_front, "BODY_SECONDS", 0.05)
    assert ask(body(b"{", b"")[:1], silent=True)[0] == 408


def test_a_body_cut_short_never_reaches_the_application() -> None:
    assert ask(body(b"{", b"")[:1], headers=((b"content-length", b"50"),))[0] == 400


def test_a_route_that_does_not_say_who_may_call_it_stops_the_start() -> None:
    @get("/open", sync_to_thread=False)
    def undeclared() -> str:
        return "everything"

    create_admin_application(routes=())
    with pytest.raises(UndeclaredRouteError, match="/open"):
        create_admin_application(routes=(undeclared,))


def test_a_route_of_an_api_that_does_not_describe_itself_stops_the_start() -> None:
    @get("/open", opt={**PUBLIC}, sync_to_thread=False)
    def undescribed() -> str:
        return "something"

    with pytest.raises(UndescribedRouteError, match="GET /open"):
        create_admin_application(routes=(undescribed,))
