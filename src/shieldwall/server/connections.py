"""Closing connections on which nobody asks anything.

Granian bounds the time a request header may take, but only once the TLS handshake is done: a caller that connects and
stays silent, or drips its handshake, would hold its place for ever. So every few seconds the process looks over its own
sockets and shuts those that have been open too long without a request.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

SILENT_SECONDS: Final = 15.0
"""Patience with a connection that never carried a request."""
IDLE_SECONDS: Final = 330.0
"""Patience after a request, a little longer than the longest wait for a policy sync."""
SWEEP_SECONDS: Final = 5.0
_FILES: Final = Path("/proc/self/fd")


class ConnectionGuard:
    """Remembers who asked something when, and shuts out who stays silent."""

    def __init__(self, port: int, monotonic: Callable[[], float], silent_seconds: float = SILENT_SECONDS) -> None:
        self._port = port
        self._monotonic = monotonic
        self._silent_seconds = silent_seconds
        self._asked: dict[str, float] = {}
        self._first_seen: dict[str, float] = {}
        self.closed = 0

    def asked(self, client: str) -> None:
        """Note that the connection from ``client`` (address and port) carries a request."""
        self._asked[client] = self._monotonic()

    async def run(self) -> None:
        """Sweep, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await asyncio.to_thread(self.sweep)

    def sweep(self) -> None:
        """Look once over every connection and shut the silent ones."""
        now = self._monotonic()
        open_now: dict[str, float] = {}
        for client, connection in _connections(self._port):
            since = self._first_seen.get(client, now)
            open_now[client] = since
            if self._is_overdue(client, since, now):
                self._shut(connection)
        self._first_seen = open_now
        for client in [client for client, at in self._asked.items() if at < now and client not in open_now]:
            self._asked.pop(client, None)

    def _is_overdue(self, client: str, since: float, now: float) -> bool:
        asked_at = self._asked.get(client)
        if asked_at is None:
            return now - since >= self._silent_seconds
        return now - asked_at >= IDLE_SECONDS

    def _shut(self, connection: socket.socket) -> None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it went by itself
        self.closed += 1


def _connections(port: int) -> Iterator[tuple[str, socket.socket]]:
    """Go through the connections of this process on ``port``.

    Nothing is duplicated or closed here: closing any descriptor of a file, be it a duplicate, drops every lock that the
    process holds on the file, and with them those that keep SQLite's log from being deleted by another process.
    """
    for entry in _FILES.iterdir():
        try:
            connection = socket.socket(fileno=int(entry.name))
        except OSError:
            continue  # no socket, or gone by now
        try:
            if (client := _client(connection, port)) is not None:
                yield client, connection
        finally:
            connection.detach()


def _client(connection: socket.socket, port: int) -> str | None:
    try:
        if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.getsockname()[1] != port:
            return None
        host, peer_port = connection.getpeername()[:2]
    except OSError:
        return None  # the listening socket has no peer
    return f"[{host}]:{peer_port}" if ":" in host else f"{host}:{peer_port}"
