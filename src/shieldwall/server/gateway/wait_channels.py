"""Devices that wait for a policy sync: a bounded number, and the database is asked only while somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from shieldwall.contract.ids import DeviceId
from shieldwall.server.gateway.problems import ChannelsExhaustedError
from shieldwall.server.storage.database import StorageUnavailableError

_log: Final = structlog.get_logger("shieldwall.gateway")

POLL_SECONDS: Final = 0.5
MOST_CHANNELS: Final = 512

Due = Callable[[Collection[DeviceId]], Awaitable[frozenset[DeviceId]]]


class WaitChannels:
    """Wakes each waiting device within about a second of being asked to check in."""

    def __init__(self, due: Due, *, capacity: int = MOST_CHANNELS, poll_seconds: float = POLL_SECONDS) -> None:
        self._due = due
        self._capacity = capacity
        self._poll_seconds = poll_seconds
        self._waiting: dict[DeviceId, set[asyncio.Event]] = {}
        self._count = 0
        self._somebody_waits = asyncio.Event()

    @property
    def count(self) -> int:
        """How many devices wait now."""
        return self._count

    async def wait(self, device_id: DeviceId, seconds: float, disconnected: Callable[[], Awaitable[None]]) -> bool:
        """Wait until a sync is due (true), or the time is up or the caller has gone (false).

        Raises:
            ChannelsExhaustedError: As many wait as may.
        """
        if self._count >= self._capacity:
            raise ChannelsExhaustedError("No channel to wait on is free.")
        with self._entered(device_id) as due:
            woken = asyncio.ensure_future(due.wait())
            gone = asyncio.ensure_future(disconnected())
            try:
                await asyncio.wait({woken, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
                gone.cancel()
            return due.is_set()

    async def run(self) -> None:
        """Look for due syncs, for ever, while somebody waits."""
        while True:
            await self._somebody_waits.wait()
            try:
                for device_id in await self._due(tuple(self._waiting)):
                    for event in self._waiting.get(device_id, ()):
                        event.set()
            except StorageUnavailableError as error:
                _log.warning("sync_not_read", cause=error.cause)
            await asyncio.sleep(self._poll_seconds)

    @contextmanager
    def _entered(self, device_id: DeviceId) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        for older in self._waiting.get(device_id, ()):
            older.set()  # a device that waits anew no longer listens there, and one device must not hold many channels
        self._waiting.setdefault(device_id, set()).add(event)
        self._count += 1
        self._somebody_waits.set()
        try:
            yield event
        finally:
            self._count -= 1
            events = self._waiting[device_id]
            events.discard(event)
            if not events:
                del self._waiting[device_id]
            if not self._waiting:
                self._somebody_waits.clear()
