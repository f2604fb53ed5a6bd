from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
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
