"""A broker that went away leaves whoever wakes devices to wake them through the next one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from tests.support.ports import free_port
from tests.support.samples import HandClock

from shieldwall.server.configuration.settings_file import PushSettings
from shieldwall.server.push import waking
from shieldwall.server.push.waking import PushMeasures, Waking
from shieldwall.server.storage.engine.database import Database


@dataclass
class GoneBroker:
    """A connection that is over, and how it is to close it."""

    close: Callable[[], Awaitable[None]]
    is_closed: bool = True


def waker(home: Path, broker: str) -> Waking:
    return Waking(
        push=PushSettings(url=broker),
        account=Ed25519PrivateKey.generate(),
        context=ssl.create_default_context(),
        database=Database.at(home / "empty.db"),
        clock=HandClock(),
        measures=PushMeasures(CollectorRegistry()),
    )


async def fails() -> None:
    raise ConnectionResetError("Connection lost")


async def never_ends() -> None:
    await asyncio.Event().wait()


def test_why_a_broker_is_not_reached_is_told(tmp_path: Path) -> None:
    """The client itself would say that no servers are available."""
    with pytest.raises(OSError, match="Connect call failed"):
        asyncio.run(waker(tmp_path, f"tls://127.0.0.1:{free_port()}")._connected())


@pytest.mark.parametrize("close", [fails, never_ends])
def test_a_connection_that_cannot_be_closed_is_followed_by_another(
    close: Callable[[], Awaitable[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        connections, another = 0, asyncio.Event()

        async def connected(_self: Waking) -> GoneBroker:
            nonlocal connections
            connections += 1
            if connections > 1:
                another.set()
                await never_ends()
            return GoneBroker(close)

        monkeypatch.setattr(waking, "_CONNECT_SECONDS", 0.01)
        monkeypatch.setattr(Waking, "_connected", connected)
        waking_devices = asyncio.ensure_future(waker(tmp_path, "tls://broker.example:4222").run())
        async with asyncio.timeout(5):
            await another.wait()
        waking_devices.cancel()
        await asyncio.gather(waking_devices, return_exceptions=True)

    asyncio.run(story())
