"""A proxy that leads every https connection to one port of this machine, whatever host it was meant for.

Tools with addresses of Microsoft built in reach a server under test through it: it answers CONNECT for the hosts named,
refuses all others, and copies bytes; the TLS inside is between the tool and the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class ConnectProxy:
    """Runs until ``close``; ``asked`` are the hosts that anybody wanted to reach, also those refused."""

    hosts: frozenset[str]
    port: int
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            method, target, _ = head.split(b"\r\n")[0].decode("ascii").split(" ")
            self.asked.append(target)
            if method != "CONNECT" or target not in {f"{host}:443" for host in self.hosts}:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                return
            inward, outward = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_copy(reader, outward), _copy(inward, writer))
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass
        finally:
            writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError):
        sink.close()


@contextlib.contextmanager
def connect_proxy(hosts: frozenset[str], port: int) -> Iterator[tuple[str, ConnectProxy]]:
    """Run a proxy to ``port`` for ``hosts``; yields its address and itself."""
    proxy = ConnectProxy(hosts=hosts, port=port)
    loop = asyncio.new_event_loop()
    ready: list[int] = []
    started = threading.Event()

    async def run() -> None:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        ready.append(server.sockets[0].getsockname()[1])
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()

    task = loop.create_task(run())

    def turn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        for each in asyncio.all_tasks(loop):
            each.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=turn)
    thread.start()
    started.wait(10)
    try:
        yield f"http://127.0.0.1:{ready[0]}", proxy
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
