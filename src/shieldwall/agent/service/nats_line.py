"""A line to the message broker NATS, on which a device hears that it should check in: an empty message, no word more.

The client runs on a thread of its own, because it is asynchronous and the agent is not. What arrives is never looked
into. A line that breaks stays broken; whoever waits on it opens another.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.contract.messages import LineAnswer

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

OPEN_SECONDS: Final = 15.0
_PING_SECONDS: Final = 240
"""A device at rest sends a few bytes every four minutes, and learns within eight that its line is dead."""


class NatsLine:
    """Implements ``broker_line.Line``."""

    def __init__(self, offered: LineAnswer, key: Ed25519PrivateKey, context: ssl.SSLContext) -> None:
        """Open it. Raises: GatewayUnreachableError."""
        self._offered, self._key, self._context = offered, key, context
        self._changed = threading.Condition()
        self._opened = self._closed = self._heard = False
        self._failure = "silence"
        self._loop = asyncio.new_event_loop()
        self._hang_up = asyncio.Event()
        threading.Thread(target=self._run, name="broker-line", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self._closed, timeout=OPEN_SECONDS)
        if not self._opened:
            self.close()
            raise GatewayUnreachableError(f"The broker {offered.url} cannot be reached: {self._failure}.")

    @property
    def is_open(self) -> bool:
        """Whether anything can still be heard on it."""
        return not self._closed

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; say whether something was heard."""
        with self._changed:
            self._changed.wait_for(lambda: self._heard or self._closed, timeout=seconds)
            heard, self._heard = self._heard, False
        return heard

    def close(self) -> None:
        """Hang up."""
        with suppress(RuntimeError):  # its loop has ended already
            self._loop.call_soon_threadsafe(self._hang_up.set)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._listen())
        except Exception as error:  # noqa: BLE001 - a foreign client on a foreign line: whatever it is, the line is dead
            self._failure = str(error)
        finally:
            self._loop.close()
            self._note(closed=True)

    async def _listen(self) -> None:
        client = await self._connected()
        try:
            await client.subscribe(self._offered.subject, cb=self._hear)
            await client.flush(timeout=int(OPEN_SECONDS))
            self._note(opened=True)
            await self._hang_up.wait()
        finally:
            await client.close()

    async def _connected(self) -> Client:
        import nats  # noqa: PLC0415 - loaded only where a server has a broker: a device at rest weighs little

        async def broken(*_: object) -> None:
            self._hang_up.set()

        async def ignored(_: Exception) -> None:
            """Say nothing: a line that fails is told of by whoever waits on it."""

        return await nats.connect(
            self._offered.url,
            tls=self._context,
            user_jwt_cb=lambda: bytearray(self._offered.token.encode("ascii")),
            signature_cb=lambda nonce: base64.b64encode(self._key.sign(nonce.encode("ascii"))),
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=int(OPEN_SECONDS),
            ping_interval=_PING_SECONDS,
            closed_cb=broken,
            disconnected_cb=broken,
            error_cb=ignored,
        )

    async def _hear(self, _message: Msg) -> None:
        self._note(heard=True)

    def _note(self, *, opened: bool = False, closed: bool = False, heard: bool = False) -> None:
        with self._changed:
            self._opened |= opened
            self._closed |= closed
            self._heard |= heard
            self._changed.notify_all()
