"""Finding who is asked to come, and saying so to the broker: nothing but empty messages, so many a second.

Being asked stands in the database (``sync_requested_at``), and the next check-in of a device takes it back; so a wake
that was lost costs nothing but the wait until the device comes by itself, and one that was sent twice costs nothing.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry, Counter, Gauge

from shieldwall.contract.clock import Clock
from shieldwall.server.configuration.settings_file import PushSettings
from shieldwall.server.push.tokens import publisher_token, subject_of
from shieldwall.server.storage.devices.sync_requests import Asked, asked
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.trust.nkeys import KeyUse, name_of

if TYPE_CHECKING:
    from nats.aio.client import Client

_log: Final = structlog.get_logger("shieldwall.push")

LOOK_BACK: Final = timedelta(minutes=15)
"""Who was asked before a server started, so long ago at most, is woken by it."""
OVERLAP: Final = timedelta(seconds=30)
"""A transaction may take so long from the moment that it writes down until others see it."""
EVERY_SECONDS: Final = 0.5
_TIMES_ITS_COST: Final = 5
_PORTION: Final = 1_000
_CONNECT_SECONDS: Final = 5


@dataclass(slots=True)
class Woken:
    """Who was woken for which request, as far back as requests are read again. Pure."""

    since: datetime
    _woken: dict[str, datetime] = field(default_factory=dict)

    def left_to_wake(self, found: Iterable[Asked]) -> Iterator[Asked]:
        """Return those who were not woken for what they are asked."""
        return (each for each in found if self._woken.get(each.device_id) != each.at)

    def note(self, found: Iterable[Asked]) -> None:
        """Remember that these were woken."""
        for each in found:
            self._woken[each.device_id] = each.at

    def forget(self) -> None:
        """Read only what is recent from now on, and forget what will not be read again."""
        if self._woken:
            self.since = max(self.since, max(self._woken.values()) - OVERLAP)
            self._woken = {device: at for device, at in self._woken.items() if at >= self.since}


class PushMeasures:
    """Numbers of the one who wakes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.woken: Final = Counter("shieldwall_push_woken", "Devices woken by the message broker.", registry=registry)
        self.connected: Final = Gauge(
            "shieldwall_push_connected", "Whether the message broker is reached: 1 or 0.", registry=registry
        )


@dataclass(slots=True, kw_only=True)
class Waking:
    """Wakes devices through the broker. Make one for the process that serves administrators."""

    push: PushSettings
    account: Ed25519PrivateKey
    context: ssl.SSLContext
    database: Database
    clock: Clock
    measures: PushMeasures
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Wake whoever is asked to come, until cancelled; a broker that cannot be reached is tried again."""
        woken = Woken(self.clock.now() - LOOK_BACK)
        while True:
            try:
                client = await self._connected()
            except Exception as error:  # noqa: BLE001 - a foreign client: whatever it is, it is tried again
                _log.warning("broker_not_reached", url=self.push.url, cause=str(error) or type(error).__name__)
                await self.sleep(_CONNECT_SECONDS)
                continue
            try:
                await self._serve(client, woken)
            except Exception as error:  # noqa: BLE001 - as above
                _log.warning("broker_lost", url=self.push.url, cause=str(error))
                await self.sleep(_CONNECT_SECONDS)
            finally:
                self.measures.connected.set(0)
                await _hang_up(client)

    async def _serve(self, client: Client, woken: Woken) -> None:
        self.measures.connected.set(1)
        _log.info("broker_reached", url=self.push.url)
        while not client.is_closed:
            started = asyncio.get_running_loop().time()
            try:
                await self.wake_due(client, woken)
            except StorageUnavailableError as error:
                _log.warning("push_not_read", cause=error.cause)
            took = asyncio.get_running_loop().time() - started
            await self.sleep(max(EVERY_SECONDS, took * _TIMES_ITS_COST))

    async def wake_due(self, client: Client, woken: Woken) -> None:
        """Wake everybody who is asked and was not woken for it, in portions at the pace of the settings."""
        after: Asked | None = None
        while portion := await asyncio.to_thread(self._read, woken.since, after):
            after = portion[-1]
            pace = max(1, self.push.per_second // 10)
            due = list(woken.left_to_wake(portion))
            for start in range(0, len(due), pace):
                few = due[start : start + pace]
                for each in few:
                    await client.publish(subject_of(each.tenant_id, each.device_id), b"")
                await client.flush(timeout=_CONNECT_SECONDS)  # what is not flushed is not noted, and so sent again
                woken.note(few)
                self.measures.woken.inc(len(few))
                await self.sleep(len(few) / self.push.per_second)
        woken.forget()

    def _read(self, since: datetime, after: Asked | None) -> tuple[Asked, ...]:
        with self.database.read() as connection:
            return asked(connection, since, after, _PORTION)

    async def _connected(self) -> Client:
        import nats  # noqa: PLC0415 - loaded only where a server has a broker
        from nats.errors import NoServersError  # noqa: PLC0415 - as above

        key = Ed25519PrivateKey.generate()
        name = name_of(KeyUse.USER, key.public_key())

        troubles: list[Exception] = []

        async def note(trouble: Exception) -> None:
            """Keep why a broker was not reached, and say nothing: what fails later is told of by whoever uses it."""
            troubles[:] = [trouble]

        try:
            return await nats.connect(
                self.push.url,
                tls=self.context,
                user_jwt_cb=lambda: bytearray(publisher_token(self.account, name, self.clock.now()).encode("ascii")),
                signature_cb=lambda nonce: base64.b64encode(key.sign(nonce.encode("ascii"))),
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=_CONNECT_SECONDS,
                error_cb=note,
            )
        except NoServersError:
            if troubles:  # which say more than that none is left to try
                raise troubles[-1] from None
            raise


async def _hang_up(client: Client) -> None:
    """Close a connection, which may wait for a broker that reads no more, or fail where there is none."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await client.close()
    except Exception as error:  # noqa: BLE001 - as above: nobody is woken any more if this ends those who wake
        _log.info("broker_not_closed", cause=str(error))
