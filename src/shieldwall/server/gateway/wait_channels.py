"""Devices that wait for a policy sync: a bounded number, and the database is asked only while somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from shieldwall.contract.ids import DeviceId
from shieldwall.server.gateway.problems import ChannelsExhaustedError
from shieldwall.server.storage.engine.database import StorageUnavailableError

_log: Final = structlog.get_logger("shieldwall.gateway")

POLL_SECONDS: Final = 0.5
MOST_CHANNELS: Final = 512

Due = Callable[[Collection[DeviceId]], Awaitable[frozenset[DeviceId]]]


@dataclass(slots=True)
class _Channel:
    """A device that waits: woken when a sync is due, or when it waits anew elsewhere."""

    woken: asyncio.Event = field(default_factory=asyncio.Event)
    is_due: bool = False


class WaitChannels:
    """Wakes each waiting device within about a second of being asked to check in; a device holds one channel."""

    def __init__(self, due: Due, *, capacity: int = MOST_CHANNELS, poll_seconds: float = POLL_SECONDS) -> None:
        self._due = due
        self._capacity = capacity
        self._poll_seconds = poll_seconds
        self._waiting: dict[DeviceId, _Channel] = {}
        self._somebody_waits = asyncio.Event()
        self._is_over = False

    @property
    def count(self) -> int:
        """How many devices wait now."""
        return len(self._waiting)

    async def wait(self, device_id: DeviceId, seconds: float, disconnected: Callable[[], Awaitable[None]]) -> bool:
        """Wait until a sync is due (true); or until the time is up, the caller is gone or waits anew (false).

        Raises:
            ChannelsExhaustedError: As many wait as may.
        """
        if self._is_over:
            return False
        with self._entered(device_id) as channel:
            woken = asyncio.ensure_future(channel.woken.wait())
            gone = asyncio.ensure_future(disconnected())
            try:
                await asyncio.wait({woken, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
                gone.cancel()
            return channel.is_due

    def end(self) -> None:
        """Let go of everybody who waits, and let nobody wait any more: a server that shall stop would wait for them."""
        self._is_over = True
        for channel in self._waiting.values():
            channel.woken.set()

    async def run(self) -> None:
        """Look for due syncs, for ever, while somebody waits."""
        while True:
            await self._somebody_waits.wait()
            try:
                for device_id in await self._due(tuple(self._waiting)):
                    if (channel := self._waiting.get(device_id)) is not None:
                        channel.is_due = True
                        channel.woken.set()
            except StorageUnavailableError as error:
                _log.warning("sync_not_read", cause=error.cause)
            except Exception:  # noqa: BLE001 - whatever it is, it is written down: nobody else would look again
                _log.exception("sync_not_read")
            await asyncio.sleep(self._poll_seconds)

    @contextmanager
    def _entered(self, device_id: DeviceId) -> Iterator[_Channel]:
        if (older := self._waiting.pop(device_id, None)) is not None:
            older.woken.set()
        if len(self._waiting) >= self._capacity:
            raise ChannelsExhaustedError("No channel to wait on is free.")
        self._waiting[device_id] = channel = _Channel()
        self._somebody_waits.set()
        try:
            yield channel
        finally:
            if self._waiting.get(device_id) is channel:
                del self._waiting[device_id]
            if not self._waiting:
                self._somebody_waits.clear()
