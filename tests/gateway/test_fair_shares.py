"""What is there for all: one device, one network or a slow part of the server leaves the others theirs."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest
from tests.support.gateway_device import GatewayDevice, digest_of
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world, read_reply

from shieldwall.contract.events import MAX_EVENTS_BYTES
from shieldwall.contract.messages import MAX_BODY_BYTES, MAX_CHECK_IN_BYTES, Envelope
from shieldwall.server.gateway.reading import OF_A_DEVICE_AT_ONCE, OF_STRANGERS_AT_ONCE
from shieldwall.server.gateway.routing import UNSIGNED_AT_ONCE
from shieldwall.server.gateway.workers import THREADS
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.check_ins import check_ins

TIME = b'{"nonce":"' + b"0" * 32 + b'"}'
ELSEWHERE = "127.0.1.1"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GatewayWorld]:
    """A gateway whose buckets do not fill again."""
    with gateway_world(tmp_path / "server", monotonic=lambda: 0.0) as running:
        yield running


@pytest.fixture
def device(world: GatewayWorld) -> GatewayDevice:
    enrolled = GatewayDevice(world)
    assert enrolled.register().status == 201
    return enrolled


def from_address(world: GatewayWorld, address: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    lines = [f"POST {path} HTTP/1.1", f"Host: {world.authority}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    plain = socket.create_connection(
        ("127.0.0.1", world.settings.gateway_port), timeout=20, source_address=(address, 0)
    )
    with world.tls.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return read_reply(connection)


def nonce_for(world: GatewayWorld, address: str) -> Reply:
    return from_address(world, address, f"/{world.services.tenant.id}/EnrollmentServer/nonce", b"", {})


def test_a_network_that_asks_for_all_nonces_leaves_some_to_devices_elsewhere(world: GatewayWorld) -> None:
    replies = (nonce_for(world, "127.0.0.1") for _ in range(UNSIGNED_AT_ONCE + 1))
    served = list(takewhile(lambda reply: reply.status == 200, replies))

    assert len(served) < UNSIGNED_AT_ONCE
    assert nonce_for(world, "127.0.0.2").code == "tooManyRequests", "a neighbour of the same network"
    assert nonce_for(world, ELSEWHERE).status == 200


def test_a_device_is_looked_up_and_answered_while_the_signer_takes_its_time(
    world: GatewayWorld, device: GatewayDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign, may_go_on, begun = SignerService.sign_time, Event(), Semaphore(0)

    def slow(self: SignerService, nonce: str) -> Envelope:
        begun.release()
        assert may_go_on.wait(30)
        return sign(self, nonce)

    monkeypatch.setattr(SignerService, "sign_time", slow)
    with ThreadPoolExecutor(2 * THREADS) as others:
        asked = [others.submit(world.post, "/device/v1/time", TIME) for _ in range(2 * THREADS)]
        try:
            assert all(begun.acquire(timeout=10) for _ in range(THREADS))
            fetched = device.send("/device/v1/fetch", device.numbered(digests=[digest_of("nothing")]))
        finally:
            may_go_on.set()
        assert {each.result().status for each in asked} == {200}

    assert fetched.code == "notFound"


def test_a_revision_is_not_handed_over_many_times_for_one_question(world: GatewayWorld, device: GatewayDevice) -> None:
    def asks(*digests: Any) -> Reply:
        return device.send("/device/v1/fetch", device.numbered(digests=digests))

    assert asks(digest_of(1), digest_of(1)).code == "invalidJson"
    with world.services.database.read() as connection:
        assert check_ins.get(connection, device.device_id).seq == 0, "nothing happened"
    assert asks(digest_of(1), digest_of(2)).code == "notFound"


def test_a_device_that_says_too_much_is_heard_more_slowly_and_nobody_else(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    much = b'"' + b"a" * (MAX_CHECK_IN_BYTES - 2) + b'"'
    other = GatewayDevice(world)
    assert other.register().status == 201

    replies = [device.send("/device/v1/checkin", much) for _ in range(OF_A_DEVICE_AT_ONCE // len(much) + 1)]

    assert {reply.code for reply in replies[:-1]} == {"invalidJson"}
    assert (replies[-1].status, replies[-1].code) == (429, "tooManyRequests")
    assert device.send("/device/v1/events", much[: MAX_EVENTS_BYTES - 1] + b'"').code == "tooManyRequests"
    assert device.check_in().status == 200, "it is managed all the same"
    assert other.send("/device/v1/checkin", much).code == "invalidJson"


def test_strangers_of_one_network_leave_room_for_registrations_from_elsewhere(world: GatewayWorld) -> None:
    much, stranger = b'"' + b"a" * (MAX_BODY_BYTES - 2) + b'"', GatewayDevice(world)
    path = f"{stranger.enrollment}/device"

    replies = [stranger.send(path, much) for _ in range(OF_STRANGERS_AT_ONCE // len(much))]
    there = [reply.code for reply in replies]

    assert there == sorted(there), "first read, then sent away"
    assert set(there) == {"invalidJson", "tooManyRequests"}
    assert from_address(world, ELSEWHERE, path, much, stranger.sign(path, much)).code == "invalidJson"
