"""The listening socket: Granian, TLS 1.3 by rustls, HTTP/1.1 alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from shieldwall.server.listening.connections import PLACES, QUEUE

HEADER_MILLISECONDS: Final = 10_000
HEADER_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where to listen and with which certificate."""

    address: str
    port: int
    certificate: Path
    key: Path

    async def serve(self, application: Any, interface: Interfaces, until: Callable[[], Awaitable[object]]) -> None:
        """Serve until ``until`` returns; requests under way are finished first.

        HTTP/2 stays off: one check-in is one request, and a stream flood has no other target here.

        Raises:
            RuntimeError: The server stopped although nobody asked it to.
        """
        server = Server(
            application,
            address=self.address,
            port=self.port,
            interface=interface,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=HEADER_BYTES),
            websockets=False,
            backlog=QUEUE,
            backpressure=PLACES,
            ssl_cert=self.certificate,
            ssl_key=self.key,
            log_enabled=False,
        )
        serving = asyncio.ensure_future(server.serve())
        asked = asyncio.ensure_future(until())
        await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            asked.cancel()
            await serving
            raise RuntimeError("the server stopped although nobody asked it to")
        server.stop()  # type: ignore[no-untyped-call]  # Granian leaves it unannotated
        await serving
