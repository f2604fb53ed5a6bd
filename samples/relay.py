"""Carries TCP connections between a network namespace and the host, over a socket in the file system.

A sample device has a loopback interface of its own, on which nobody listens. One half of the relay listens there and
hands each connection to a Unix socket, which knows no namespaces; the other half, on the host, hands it on to the
gateway. So the device reaches ``https://localhost:8444`` by its own name, and the gateway stays bound to the host's
loopback alone.

    python -m samples.relay tcp:127.0.0.1:8444 unix:/path/relay.sock     (inside the namespace)
    python -m samples.relay unix:/path/relay.sock tcp:127.0.0.1:8444     (on the host)
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def relay(listen: str, target: str) -> None:
    """Listen at one address and hand every connection to the other, for ever."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await _connect(target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    server = await _listen(listen, carry)
    async with server:
        await server.serve_forever()


async def _listen(
    address: str, carry: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> asyncio.Server:
    kind, _, rest = address.partition(":")
    if kind == "unix":
        await asyncio.to_thread(Path(rest).unlink, missing_ok=True)
        return await asyncio.start_unix_server(carry, rest)
    host, _, port = rest.rpartition(":")
    return await asyncio.start_server(carry, host, int(port))


async def _connect(address: str) -> Streams:
    kind, _, rest = address.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(rest)
    host, _, port = rest.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError, OSError):
        writer.write_eof()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(relay(sys.argv[1], sys.argv[2]))
