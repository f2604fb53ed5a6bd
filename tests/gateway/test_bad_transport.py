"""What must be refused before anybody asks who sent it (bad-inputs 9.1), over a real TLS socket."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_world import GatewayWorld, gateway_world, read_reply, until

from shieldwall.contract.messages import MAX_CHECK_IN_BYTES
from shieldwall.server.listening.connections import IDLE_SECONDS, SILENT_SECONDS, ConnectionGuard

CHECK_IN = "/device/v1/checkin"
SIGNED_TIME = "/device/v1/time"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def device(world: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(world)
    assert made.register().status == 201
    return made


def head(
    world: GatewayWorld, *lines: str, first: str = f"POST {SIGNED_TIME} HTTP/1.1", host: str | None = None
) -> bytes:
    named = [f"Host: {host or world.authority}"]
    return "\r\n".join([first, *named, *lines, "", ""]).encode("latin-1")


def padded(**members: object) -> bytes:
    return json.dumps({"nonce": "0" * 32, **members}).encode()


BAD_JSON = {
    "lone surrogate": rb'{"nonce":"\ud800"}',
    "NaN": b'{"nonce":NaN}',
    "Infinity": b'{"nonce":Infinity}',
    "1e999": b'{"nonce":1e999}',
    "NUL in a string": rb'{"nonce":"\u0000"}',
    "a member twice": b'{"nonce":"' + b"0" * 32 + b'","nonce":"' + b"0" * 32 + b'"}',
    "an unknown member": padded(more=1),
    "true for a text": b'{"nonce":true}',
    "a number for a text": b'{"nonce":7}',
    "an endless number": b'{"nonce":' + b"9" * 900 + b"}",
    "depth": b'{"nonce":' + b"[" * 500 + b"]" * 500 + b"}",
    "invalid UTF-8": b'{"nonce":"\xff"}',
    "UTF-16": '{"nonce":"x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + padded(),
    "nothing": b" ",
    "two documents": padded() + padded(),
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON.keys())
def test_json_that_two_parsers_could_read_differently_is_refused(world: GatewayWorld, body: bytes) -> None:
    reply = world.post(SIGNED_TIME, body)
    assert (reply.status, reply.code) == (400, "invalidJson")


@pytest.mark.parametrize("seq", [2**53, -1, "1.0", '"5"', "true", "null", "1e2"])
def test_a_number_that_is_none_is_refused_behind_a_good_signature(device: GatewayDevice, seq: object) -> None:
    body = device.check_in_request().replace(b'"seq":%d' % device.seq, f'"seq":{seq}'.encode())
    assert device.send(CHECK_IN, body).code == "invalidJson"


@pytest.mark.parametrize("body", [b"[" * 100_000 + b"]" * 100_000, b"9" * 200_000], ids=["depth", "number"])
def test_a_huge_document_behind_a_good_signature_costs_little(device: GatewayDevice, body: bytes) -> None:
    started = time.process_time()
    assert device.send(CHECK_IN, body).code == "invalidJson"
    assert (
        time.process_time() - started < 1.0
    )  # client, signature and TLS included; a stack or square cost is far above


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "application/json, text/plain"},
        {"Content-Type": "application/json", "content-type": "application/json"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Encoding": "identity"},
    ],
    ids=str,
)
def test_only_plain_json_is_read(world: GatewayWorld, headers: dict[str, str]) -> None:
    reply = world.ask("POST", SIGNED_TIME, padded(), headers)
    assert (reply.status, reply.code) == (415, "unsupportedMediaType")


def test_a_body_that_says_it_is_too_long_is_refused_unread(world: GatewayWorld) -> None:
    lines = ("Content-Type: application/json", f"Content-Length: {64 * 1024 * 1024}")
    with world.connect() as connection:
        connection.sendall(head(world, *lines, first=f"POST {CHECK_IN} HTTP/1.1") + b"{")
        reply = read_reply(connection)
        assert (reply.status, reply.code) == (413, "contentTooLarge")
        assert reply.headers["connection"] == "close"
        assert is_closed(connection)


def test_a_body_that_never_ends_is_refused_at_the_limit(world: GatewayWorld) -> None:
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent = 0
    with world.connect() as connection:
        connection.sendall(head(world, *lines, first=f"POST {CHECK_IN} HTTP/1.1"))
        try:
            while sent < 64 * MAX_CHECK_IN_BYTES:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        assert sent < 16 * MAX_CHECK_IN_BYTES


def test_a_body_one_byte_above_the_limit_is_refused_and_at_the_limit_is_read(world: GatewayWorld) -> None:
    assert world.post(SIGNED_TIME, padded().ljust(1024)).status == 200
    assert world.post(SIGNED_TIME, padded().ljust(1025)).status == 413


def test_chunks_are_refused_even_when_they_end(world: GatewayWorld) -> None:
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    body = padded()
    reply = world.raw(head(world, *lines) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    assert (reply.status, reply.code) == (400, "badRequest")


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Content-Length: 5"),
        ("Content-Length: 5, 5",),
        ("Content-Length: +5",),
        ("Content-Length: -5",),
        ("Transfer-Encoding: gzip, chunked",),
        ("X-Folded: one", " two", "Content-Length: 5"),
        ("Bad Name: x", "Content-Length: 5"),
        ("Content-Length : 5",),
    ],
    ids=str,
)
def test_a_header_that_two_servers_could_read_differently_is_refused(world: GatewayWorld, lines: tuple[str]) -> None:
    reply = world.raw(head(world, "Content-Type: application/json", *lines) + b"0\r\n\r\n")
    assert reply.status in {400, 413}
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(
    "target",
    [
        "/device/v1/%2e%2e/v1/checkin",
        "/device/%2e/v1/checkin",
        "/device/../device/v1/checkin",
        "//device/v1/checkin",
        "/device//v1/checkin",
        "/device/v1/checkin/",
        "/device/v1/checkin;x",
        "/device/v1/checkin%00",
        "/device/v1\\checkin",
        "/DEVICE/v1/checkin",
        "/",
        "/nowhere",
    ],
)
def test_a_path_that_is_not_exactly_ours_does_not_exist(world: GatewayWorld, target: str) -> None:
    reply = world.ask("POST", target, b"{}", {"Content-Type": "application/json"})
    assert (reply.status, reply.code) == (404, "notFound")


@pytest.mark.parametrize("target", ["/device/v1/check\x00in", "/device/v1/check in", "/device/v1/check\xffin"])
def test_a_path_that_is_no_text_is_refused(world: GatewayWorld, target: str) -> None:
    assert world.raw(head(world, first=f"POST {target} HTTP/1.1")).status == 400


def test_a_target_in_absolute_form_is_refused(world: GatewayWorld) -> None:
    reply = world.raw(head(world, first=f"GET https://{world.authority}/healthz HTTP/1.1"))
    assert (reply.status, reply.code) == (400, "badRequest")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "OPTIONS", "PUT", "DELETE", "BREW"])
def test_an_unknown_method_is_refused(world: GatewayWorld, method: str) -> None:
    target = world.authority if method == "CONNECT" else CHECK_IN
    assert world.raw(head(world, first=f"{method} {target} HTTP/1.1")).status == 405


def test_a_path_takes_its_own_method_alone(world: GatewayWorld) -> None:
    assert world.ask("GET", CHECK_IN).code == "methodNotAllowed"
    assert world.ask("POST", "/healthz").code == "methodNotAllowed"


@pytest.mark.parametrize("query", ["?", "?x=1", "?api-version=2.0", "?api-version=1.0&x=1"])
def test_a_query_that_is_not_exactly_ours_is_refused(world: GatewayWorld, query: str) -> None:
    tenant = world.settings.tenant_id
    assert world.ask("GET", f"/{tenant}/Discover{query}").code == "badRequest"
    assert world.ask("GET", f"/{tenant}/Discover?api-version=1.0").status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "localhost:1", "localhost:8444@evil.example", "127.0.0.1"]
)
def test_another_host_is_refused(world: GatewayWorld, host: str) -> None:
    reply = world.ask("GET", "/healthz", host=host)
    assert (reply.status, reply.code) == (421, "misdirected")


@pytest.mark.parametrize(
    "hosts", [(), ("Host: {ours}", "Host: {ours}"), ("Host: {ours}", "Host: evil.example")], ids=str
)
def test_exactly_one_host_is_named(world: GatewayWorld, hosts: tuple[str, ...]) -> None:
    lines = "".join(f"{host.format(ours=world.authority)}\r\n" for host in hosts)
    assert world.raw(f"GET /healthz HTTP/1.1\r\n{lines}\r\n".encode()).status == 400


def test_what_a_proxy_says_about_the_host_reaches_no_link(world: GatewayWorld) -> None:
    spoofed = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "10.0.0.1",
        "Forwarded": "host=evil.example",
    }
    reply = world.ask("GET", f"/{world.settings.tenant_id}/Discover?api-version=1.0", headers=spoofed)
    links = {reply.json[name] for name in ("nonce", "device", "checkIn", "fetch", "wait", "time")}
    assert all(link.startswith(f"{world.settings.gateway_url}/") for link in links)


@pytest.mark.parametrize(
    "lines", [[f"X-{number}: 1" for number in range(5000)], ["X: " + "a" * 200_000]], ids=["5,000 headers", "200 kB"]
)
def test_a_header_that_is_too_large_is_refused(world: GatewayWorld, lines: list[str]) -> None:
    with world.connect() as connection:
        with suppress(OSError):  # it is refused before all of it is sent
            connection.sendall(head(world, *lines, first="GET /healthz HTTP/1.1"))
        assert read_reply(connection).status == 431


def test_an_answer_never_names_what_runs_here(world: GatewayWorld) -> None:
    assert world.ask("GET", "/healthz").headers["server"] == "shieldwall"


def test_a_body_that_stops_half_way_is_given_up(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shieldwall.server.gateway.guard.BODY_SECONDS", 0.2)
    with world.connect() as connection:
        connection.sendall(head(world, "Content-Type: application/json", "Content-Length: 50") + b"{")
        reply = read_reply(connection)
        assert (reply.status, reply.code) == (408, "requestTimeout")
        assert reply.headers["connection"] == "close"
        assert is_closed(connection)


def test_check_ins_do_not_wait_for_one_whose_body_does_not_come(world: GatewayWorld, device: GatewayDevice) -> None:
    lines = ("Content-Type: application/json", "Content-Length: 50")
    with ExitStack() as held:
        waiting = [held.enter_context(world.connect()) for _ in range(40)]
        for each in waiting:  # so many that those who come are taken for company
            each.sendall(head(world, *lines, first=f"POST {CHECK_IN} HTTP/1.1") + b"{")
        assert device.check_in().status in {200, 204}
        waiting[0].sendall(b" " * 49)
        assert read_reply(waiting[0]).status == 401, "it is not signed, and that is found as soon as it is there"


def test_a_caller_that_leaves_in_the_middle_of_its_body_harms_nobody(world: GatewayWorld) -> None:
    for _ in range(5):
        with world.connect() as connection:
            connection.sendall(head(world, "Content-Type: application/json", "Content-Length: 50") + b"{")
    assert world.ask("GET", "/healthz").status == 200


def test_a_header_that_never_ends_closes_the_connection(world: GatewayWorld) -> None:
    with world.connect(timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert is_closed(connection)


def test_a_silent_connection_is_shut_and_one_that_asks_is_not(world: GatewayWorld) -> None:
    now = 0.0
    guard = ConnectionGuard(world.settings.gateway_port, lambda: now)
    with world.connect() as busy, socket.create_connection(("127.0.0.1", world.settings.gateway_port)) as silent:
        silent.settimeout(20)
        guard.asked(f"127.0.0.1:{busy.getsockname()[1]}")

        def is_seen() -> bool:
            guard.sweep()
            return f"127.0.0.1:{silent.getsockname()[1]}" in guard._first_seen

        until(is_seen)  # a connection that waits to be accepted has no place to hold yet
        now = SILENT_SECONDS - 0.1
        guard.sweep()
        assert guard.closed == 0

        now = SILENT_SECONDS
        guard.sweep()  # connections that earlier tests left behind may be among those it shuts
        assert is_closed(silent)
        busy.sendall(head(world, first="GET /healthz HTTP/1.1"))
        assert read_reply(busy).status == 200

        now = IDLE_SECONDS
        guard.sweep()
        assert is_closed(busy)


def test_a_connection_that_asked_is_remembered_as_long_as_it_is_open(world: GatewayWorld) -> None:
    guard = world.gateway.connections
    with world.connect() as connection:
        client = f"127.0.0.1:{connection.getsockname()[1]}"
        connection.sendall(head(world, first="GET /healthz HTTP/1.1"))
        read_reply(connection)
        guard.sweep()
        assert client in guard._asked

    def is_forgotten() -> bool:
        guard.sweep()
        return client not in guard._asked

    until(is_forgotten)


def test_what_breaks_inside_is_said_without_details(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("the secret is swordfish")

    monkeypatch.setattr("shieldwall.server.observing.readiness.Readiness.check", lambda _self: broken())
    reply = world.ask("GET", "/readyz")
    assert (reply.status, reply.code) == (500, "internalError")
    assert b"swordfish" not in reply.body


def test_readiness_names_the_part_that_is_missing(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.ask("GET", "/readyz").json == {"status": "ready", "database": "ok", "signer": "ok"}
    monkeypatch.setattr("shieldwall.server.storage.engine.migrate.is_current", lambda _database: False)
    reply = world.ask("GET", "/readyz")
    assert (reply.status, reply.json["database"]) == (503, "schemaNotCurrent")


def test_metrics_count_by_route_and_status(world: GatewayWorld) -> None:
    world.ask("GET", "/healthz")
    assert b'shieldwall_gateway_requests_total{route="/healthz",status="200"}' in world.ask("GET", "/metrics").body


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:  # TLS calls an end without a farewell an error
        return True
