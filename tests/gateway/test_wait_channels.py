from __future__ import annotations

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_world import gateway_world, until
from tests.support.samples import device_id

from shieldwall.contract.ids import DeviceId
from shieldwall.server.gateway.problems import ChannelsExhaustedError
from shieldwall.server.gateway.wait_channels import WaitChannels


async def nobody_due(_waiting: Collection[DeviceId]) -> frozenset[DeviceId]:
    return frozenset()


async def never() -> None:
    await asyncio.Event().wait()


def test_a_device_that_waits_anew_holds_one_channel_and_leaves_the_others_to_others() -> None:
    async def story() -> None:
        channels = WaitChannels(nobody_due, capacity=2)
        first = asyncio.ensure_future(channels.wait(device_id(1), 30, never))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(channels.wait(device_id(1), 30, never))

        assert not await first, "nothing is due; it only waits elsewhere now"
        assert channels.count == 1

        third = asyncio.ensure_future(channels.wait(device_id(2), 30, never))
        await asyncio.sleep(0)
        with pytest.raises(ChannelsExhaustedError):
            await channels.wait(device_id(3), 30, never)
        fourth = asyncio.ensure_future(channels.wait(device_id(2), 30, never))
        assert not await third
        for task in (second, fourth):
            task.cancel()
        await asyncio.gather(second, fourth, return_exceptions=True)
        assert channels.count == 0

    asyncio.run(story())


def test_whatever_goes_wrong_while_it_is_looked_who_is_asked_the_next_look_wakes_them() -> None:
    async def story() -> None:
        tries = 0

        async def stumbles_once(waiting: Collection[DeviceId]) -> frozenset[DeviceId]:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise RecursionError("nobody thought of that")
            return frozenset(waiting)

        channels = WaitChannels(stumbles_once, poll_seconds=0)
        looking = asyncio.ensure_future(channels.run())

        assert await channels.wait(device_id(1), 5, never)
        assert tries > 1
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    asyncio.run(story())


def test_a_server_that_is_asked_to_stop_lets_go_of_those_who_wait(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as others:
        with gateway_world(tmp_path / "server") as world:
            device = GatewayDevice(world)
            assert device.register().status == 201
            assert device.check_in().status == 200
            waits = others.submit(device.send, "/device/v1/wait", device.numbered(seconds=300))
            until(lambda: world.gateway.channels.count == 1 or waits.done())
            assert not waits.done()

        assert waits.result().status == 204
    assert not asyncio.run(world.gateway.channels.wait(device.device_id, 30, never)), "nor does anybody begin to wait"
