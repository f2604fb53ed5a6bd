"""From names to addresses: as this machine resolves them, on threads of their own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import TypeAlias

from shieldwall.server.outgoing.errors import ReceiverUnreachableError
from shieldwall.server.outgoing.rules import Address

Resolver: TypeAlias = Callable[[str], Awaitable[tuple[Address, ...]]]
"""Finds the addresses of a host, best first. Raises: ReceiverUnreachableError."""


class SystemResolver:
    """Asks the resolver of this machine. A name server that does not answer holds up a few threads, and no others."""

    def __init__(self, threads: int = 16) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def __call__(self, host: str) -> tuple[Address, ...]:
        """Return the addresses of a host. Raises: ReceiverUnreachableError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, resolve, host)

    def close(self) -> None:
        """Let the threads go; one that still waits for a name server is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def resolve(host: str) -> tuple[Address, ...]:
    """Return the addresses of a host, each once. Raises: ReceiverUnreachableError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ReceiverUnreachableError(f"The name {host[:128]} cannot be resolved.") from error
    return tuple(dict.fromkeys(ip_address(str(address[0]).partition("%")[0]) for *_, address in found))
