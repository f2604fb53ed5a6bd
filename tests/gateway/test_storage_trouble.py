"""What a device hears while a part behind the gateway cannot serve: come back later, and nothing was acknowledged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from tests.support.gateway_device import GatewayDevice, digest_of
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world

from shieldwall.contract.messages import Have
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server.gateway.admission import FIRST_BACK, SPREAD
from shieldwall.server.gateway.application import RETRY_AFTER
from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import CheckInState


def large(filling: str) -> StatusReport:
    """Make a report that the database has no room for, unless it has one that is the same."""
    return StatusReport(
        settings=tuple(
            SettingStatus(setting=f"setting-{number}", state=SettingState.SUCCEEDED, reason=filling * 400)  # type: ignore[arg-type]
            for number in range(1_000)
        )
    )


LARGE = large("x")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


@pytest.fixture
def device(world: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(world)
    assert made.register().status == 201
    return made


@contextmanager
def disk_full(world: GatewayWorld) -> Iterator[None]:
    """Let the database grow no further than it is now."""
    engine = world.services.database.engine

    def bound(raw: sqlite3.Connection, _entry: Any) -> None:
        raw.execute("PRAGMA max_page_count=1")

    event.listen(engine, "connect", bound)
    engine.dispose()
    try:
        yield
    finally:
        event.remove(engine, "connect", bound)
        engine.dispose()


def standing(world: GatewayWorld, device: GatewayDevice) -> CheckInState:
    with world.services.database.read() as connection:
        return check_ins.get(connection, device.device_id)


def assert_comes_back_later(reply: Reply, code: str) -> None:
    assert (reply.status, reply.code) == (503, code)
    soonest, latest = RETRY_AFTER.get(code, (FIRST_BACK, FIRST_BACK + SPREAD + 1))
    assert soonest <= int(reply.headers["retry-after"]) <= latest


def test_a_full_disk_acknowledges_nothing_and_loses_nothing(world: GatewayWorld, device: GatewayDevice) -> None:
    before = standing(world, device)
    body = device.check_in_request(report=LARGE)

    with disk_full(world):
        assert_comes_back_later(device.send("/device/v1/checkin", body), "storageUnavailable")
        assert standing(world, device) == before

    assert device.send("/device/v1/checkin", body).status == 200
    assert standing(world, device).status_digest == digest_of(LARGE)


def test_a_full_disk_is_not_ready_until_it_takes_something_again(world: GatewayWorld, device: GatewayDevice) -> None:
    assert world.ask("GET", "/readyz").json == {"status": "ready", "database": "ok", "signer": "ok"}
    body = device.check_in_request(report=large("y"))

    with disk_full(world):
        assert device.send("/device/v1/checkin", body).status == 503
        refused = world.ask("GET", "/readyz")
        assert (refused.status, refused.json["database"]) == (503, "storageUnavailable")

    assert device.send("/device/v1/checkin", body).status == 200
    assert world.ask("GET", "/readyz").status == 200


def test_without_the_signer_the_check_in_is_kept_and_its_answer_comes_with_the_repeat(
    device: GatewayDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: Any, **__: Any) -> None:
        raise SignerUnavailableError("The signer does not answer.")

    body = device.check_in_request(have=Have())
    with monkeypatch.context() as patched:
        patched.setattr(SignerService, "sign_manifest", unavailable)
        assert_comes_back_later(device.send("/device/v1/checkin", body), "signerUnavailable")

    again = device.send("/device/v1/checkin", body)
    assert again.status == 200
    assert again.json["manifest"]
    assert again.json["ackSeq"] == device.seq


def test_when_all_channels_are_taken_the_next_device_is_sent_away(
    world: GatewayWorld, device: GatewayDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.check_in()
    monkeypatch.setattr(world.gateway.channels, "_capacity", 0)
    assert_comes_back_later(device.send("/device/v1/wait", device.numbered(seconds=5)), "channelsExhausted")
