"""Somebody else's HTTP server, as real as it gets: TLS, sockets, and every bad habit that receivers have.

``Receiver`` listens on a port of its own, in a thread of its own, and does with each request what ``behaviour`` says.
What it was asked stands in ``seen``.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from shieldwall.server.system import SystemClock
from shieldwall.trust.certificates import LocalAuthority


@dataclass(frozen=True)
class Asked:
    """A request that a receiver got."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)


Behaviour: TypeAlias = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def answering(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer everything alike."""

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} Word\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return answer


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Do one after the other, and the last one for ever."""
    left = list(behaviours)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

    return answer


async def hanging(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Say nothing, as long as anybody waits."""
    for _round in range(1_000):
        if not writer.transport.is_closing():
            await asyncio.sleep(0.02)


async def dribbling(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer one byte at a time, each before anybody's patience for a single one ends, and never come to an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with suppress(ConnectionError):
        while not writer.transport.is_closing():
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.02)


async def endless(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Answer at full speed without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    with suppress(ConnectionError):
        while not writer.transport.is_closing():
            writer.write(b"x" * 65_536)
            await writer.drain()
            await asyncio.sleep(0)


async def babbling(_: Asked, writer: asyncio.StreamWriter) -> None:
    """Speak something that is not HTTP."""
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


async def echoing(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Give the validation token back as Graph asks for it; take everything else."""
    if tokens := asked.query.get("validationToken"):
        await answering(200, tokens[0].encode(), Content_Type="text/plain")(asked, writer)
    else:
        await answering(202)(asked, writer)


@dataclass
class Receiver:
    """A server on ``127.0.0.1``, known as ``localhost``."""

    port: int = 0
    behaviour: Behaviour = field(default_factory=lambda: answering(204))
    scheme: str = "https"
    seen: list[Asked] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            asked = await _read(reader)
            self.seen.append(asked)
            await self.behaviour(asked, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@dataclass(frozen=True)
class Authority:
    """Who vouches for the receivers, and a certificate for ``localhost``."""

    certificate: str
    chain: str
    key: str


@cache
def authority() -> Authority:
    """The same authority for every test of a run."""
    now = SystemClock().now()
    made = LocalAuthority.create(now)
    chain, key = made.issue_server(["localhost", "hooks.example"], now)
    return Authority(certificate=made.certificate_pem, chain=chain, key=key)


def trusting_receivers() -> ssl.SSLContext:
    """What a client needs to trust the receivers."""
    return ssl.create_default_context(cadata=authority().certificate)


@contextmanager
def receiving(directory: Path, behaviour: Behaviour | None = None, *, plain: bool = False) -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(scheme="http" if plain else "https")
    if behaviour is not None:
        receiver.behaviour = behaviour
    context = None if plain else _serving_tls(directory)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context))
    receiver.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _serving_tls(directory: Path) -> ssl.SSLContext:
    chain, key = directory / "receiver.pem", directory / "receiver.key"
    chain.write_text(authority().chain)
    key.write_text(authority().key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return context


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method=method, target=target, headers=headers, body=body)
