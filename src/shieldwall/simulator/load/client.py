"""Sending: each check-in over a connection of its own, as agents do, and what came of it."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

LONGEST_ANSWER: Final = 4 * 1024 * 1024
PATIENCE_SECONDS: Final = 30.0
"""As long as an agent waits for an answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer; status 0 where none came, with the reason in ``failure``."""

    status: int
    seconds: float
    body: bytes = b""
    retry_after: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Connects to one server."""

    host: str
    port: int
    server_name: str
    tls: ssl.SSLContext
    sources: tuple[str, ...] = ()
    """Addresses of this machine to come from in turn: to a server that gives no network more than its share, a fleet
    that comes from one is not a fleet."""
    _turn: Iterator[int] = field(default_factory=itertools.count, init=False, repr=False)

    async def send(self, wire: bytes, *, deaf: bool = False) -> Answered:
        """Send a request and read its answer; who is ``deaf`` hangs up as soon as it is sent, and hears none."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection(
                    self.host, self.port, ssl=self.tls, server_hostname=self.server_name, local_addr=self._source()
                )
                writer.write(wire)
                await writer.drain()
                if deaf:
                    return Answered(0, loop.time() - begun, failure="hung up")
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = _number(head, b"\r\ncontent-length: ") or 0
                if length > LONGEST_ANSWER:
                    return Answered(0, loop.time() - begun, failure="an answer that does not end")
                body = await reader.readexactly(length)
                return Answered(int(head[9:12]), loop.time() - begun, body, _number(head, b"\r\nretry-after: "))
        except TimeoutError:
            return Answered(0, loop.time() - begun, failure="no answer in time")
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            return Answered(0, loop.time() - begun, failure=type(error).__name__)
        finally:
            if writer is not None:
                writer.transport.abort()

    def _source(self) -> tuple[str, int] | None:
        return (self.sources[next(self._turn) % len(self.sources)], 0) if self.sources else None


def _number(head: bytes, name: bytes) -> int | None:
    start = head.find(name)
    if start < 0:
        return None
    text = head[start + len(name) :].split(b"\r", 1)[0].strip()
    return int(text) if text.isdigit() else None
