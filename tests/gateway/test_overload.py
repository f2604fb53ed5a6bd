"""A gateway that has too much to do, over its socket: who is sent away and who never is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world, until

from shieldwall.contract.status import StatusReport
from shieldwall.server.gateway.admission import BOUNDS, FIRST_BACK, SPREAD, Admission
from shieldwall.server.storage.check_ins import check_ins

TIME = b'{"nonce":"' + b"0" * 32 + b'"}'


@contextmanager
def overloaded(world: GatewayWorld) -> Iterator[None]:
    """Let more pieces of work be under way than end in a second, of which none comes to an end."""
    admission = world.gateway.application.admission
    begun = [admission.begin() for _ in range(100 + int(admission.per_second))]
    until(lambda: admission.wait() > 2 * max(BOUNDS.values()))
    try:
        yield
    finally:
        for each in begun:
            admission.end(each, refused=True)  # or a gateway that ends so many at once believed that it can
        time.sleep(0.3)  # some intervals in which nobody waits


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("overload") / "server") as running:
        yield running


@pytest.fixture
def device(world: GatewayWorld) -> GatewayDevice:
    enrolled = GatewayDevice(world)
    assert enrolled.register().status == 201
    assert enrolled.check_in().status == 200
    return enrolled


def sent_away(world: GatewayWorld, lane: str) -> bool:
    text = world.ask("GET", "/metrics").body.decode()
    return f'shieldwall_gateway_sent_away_total{{lane="{lane}",reason="overloaded"}}' in text


def test_what_can_wait_is_sent_away_until_a_time_and_nothing_of_it_happened(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    with world.services.database.read() as connection:
        before = check_ins.get(connection, device.device_id)
    body = device.check_in_request(report=StatusReport())

    with overloaded(world):
        reply = device.send("/device/v1/checkin", body)

        assert (reply.status, reply.code) == (503, "overloaded")
        assert FIRST_BACK <= int(reply.headers["retry-after"]) <= FIRST_BACK + SPREAD + 1
        assert reply.headers["connection"] == "close"
        with world.services.database.read() as connection:
            assert check_ins.get(connection, device.device_id) == before
        for path in ("nonce", "device"):
            assert world.post(f"{device.enrollment}/{path}", b"{}").code == "overloaded"

    assert device.send("/device/v1/checkin", body).status in {200, 204}, "the very same, once there is time"
    assert sent_away(world, "quiet")
    assert sent_away(world, "enrolment")


def test_what_strangers_are_refused_at_once_tells_nothing_of_the_waits(
    world: GatewayWorld, device: GatewayDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    end = Admission.end

    def watched(admission: Admission, begun: float, *, refused: bool = False) -> None:
        ended.append(refused)
        end(admission, begun, refused=refused)

    monkeypatch.setattr(Admission, "end", watched)
    stranger, registration = GatewayDevice(world), f"{device.enrollment}/device"
    unknown = stranger.check_in_request()
    asked: tuple[Callable[[], Reply], ...] = (
        lambda: world.post("/device/v1/checkin", b"{}"),
        lambda: stranger.send("/device/v1/checkin", unknown),
        lambda: stranger.send("/device/v1/fetch", unknown),
        lambda: world.ask("POST", "/device/v1/checkin", b"{}", device.sign("/device/v1/checkin", b"{}", created=1)),
        lambda: stranger.send(registration, b"{"),
        lambda: stranger.send(registration, stranger.registration(world.package(), request=b"none")),
        lambda: world.post(f"{device.enrollment}/nonce", b"{}"),
    )
    assert {ask().status for ask in asked} == {200, 400, 401}
    until(lambda: len(ended) == 8)  # a nonce for the last but one
    assert all(ended)

    again = device.check_in_request()
    assert device.send("/device/v1/checkin", again).status in {200, 204}
    assert stranger.send(registration, stranger.registration(world.package(), mac="A" * 43)).status == 403
    assert device.send("/device/v1/checkin", device.check_in_request(epoch=9)).status == 409
    until(lambda: len(ended) == 12)
    assert ended[8:] == [False, True, False, False], "a nonce, and three that came to the writer"


def test_what_is_vital_is_answered(world: GatewayWorld, device: GatewayDevice) -> None:
    with overloaded(world):
        assert device.check_in().status == 503
        assert world.post("/device/v1/time", TIME).status == 200
        for path in ("/healthz", "/readyz", "/metrics"):
            assert world.ask("GET", path).status == 200
