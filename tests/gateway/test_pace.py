"""One device leaves only so many traces for good; others, and what is refused, cost it nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gateway.test_keeping_identity import change_key, renew, resync
from tests.support.databases import migrated_database_url
from tests.support.gateway_device import FACTS, GatewayDevice
from tests.support.gateway_world import GatewayWorld, gateway_world

from shieldwall.contract import strict_json
from shieldwall.contract.messages import DeviceFacts
from shieldwall.server.gateway.routing import OF_ONE_DEVICE_AT_ONCE
from shieldwall.trust.device_key import DeviceKey

__all__ = ["migrated_database_url"]


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "data", migrated_database_url) as made:
        yield made


def test_what_leaves_a_trace_for_good_is_done_only_so_often(world: GatewayWorld) -> None:
    loud, quiet = GatewayDevice(world), GatewayDevice(world)
    loud.register()
    quiet.register()

    replies = [renew(loud) for _ in range(OF_ONE_DEVICE_AT_ONCE + 1)]

    assert {reply.status for reply in replies[:-1]} == {200}
    assert (replies[-1].status, replies[-1].code) == (429, "tooManyRequests")
    assert int(replies[-1].headers["retry-after"]) > 0
    assert change_key(loud, DeviceKey.generate()).code == "tooManyRequests"
    assert resync(loud).code == "tooManyRequests"
    assert loud.check_in().status in {200, 204}, "it is managed all the same"
    assert renew(quiet).status == 200


def test_a_replay_uses_up_nothing(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    device.register()
    for _ in range(OF_ONE_DEVICE_AT_ONCE + 1):
        assert change_key(device, device.key).code == "duplicateKey"

    assert renew(device).status == 200


def test_a_device_says_something_else_of_itself_only_so_often(world: GatewayWorld) -> None:
    device = GatewayDevice(world)
    device.register()

    def says(number: int) -> DeviceFacts:
        members = strict_json.decode_any(strict_json.encode(FACTS)) | {"displayName": f"name {number}"}
        return strict_json.decode(strict_json.encode(members), DeviceFacts)

    replies = [device.check_in(facts=says(number)) for number in range(OF_ONE_DEVICE_AT_ONCE + 1)]

    assert {reply.status for reply in replies[:-1]} <= {200, 204}
    assert (replies[-1].status, replies[-1].code) == (429, "tooManyRequests")
    assert device.check_in().status in {200, 204}
