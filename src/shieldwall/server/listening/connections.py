"""Closing connections on which nobody asks anything, and keeping one corner of the network from taking all places.

Granian bounds the time a request header may take, but only once the TLS handshake is done: a caller that connects and
stays silent, or drips its handshake, would hold its place for ever. Nor does it bound how long an answer takes to be
read. So every few seconds the process looks over its own sockets and shuts those that have been open too long without a
request, and of each block of addresses those that are too many. Where few places are left it looks more often, and has
less patience.

What the kernel can do by itself it is told to (``prepare``): a connection is handed over once its first bytes are
there, and ends when nobody acknowledges what was sent.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import sys
import termios
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

from shieldwall.server.plain_logging import structlog

_log: Final = structlog.get_logger("shieldwall.server")

PLACES: Final = 768
"""So many connections are open at once; 512 of them may wait for a policy sync."""
QUEUE: Final = 256
"""So many wait in the kernel to be let in. Whoever comes then is not heard at all, and costs nothing: the kernel at the
other end knocks again after one second, three and seven. A longer queue would serve nobody sooner."""
PLACES_OF_ONE_BLOCK: Final = PLACES // 2
SILENT_SECONDS: Final = 15.0
"""Patience with a connection that never carried a request."""
ANSWERED_SECONDS: Final = 20.0
"""Patience after an answer: for reading it, and for asking again."""
IDLE_SECONDS: Final = 330.0
"""Patience with a request under way, a little longer than the longest wait for a policy sync."""
AT_LEAST_SECONDS: Final = 5.0
"""Nobody is shut sooner for coming from where many come from."""
SWEEP_SECONDS: Final = 5.0
CROWDED_SWEEP_SECONDS: Final = 0.5
CROWDED_PATIENCE: Final = 0.5
"""Where more than half of the places are taken, half of the patience with the silent is left."""
FIRST_BYTES_SECONDS: Final = 3
UNACKNOWLEDGED_SECONDS: Final = 20
"""After so long a caller that acknowledges nothing, or has no room for what it asked for, is gone."""
_PROBE_SECONDS: Final = 10
_LAST_RECEIVED: Final = 52
"""Where ``tcpi_last_data_recv``, milliseconds, stands in ``struct tcp_info`` (linux/tcp.h)."""
_FILES: Final = Path("/proc/self/fd")
_IPV4_BITS_LEFT_OUT: Final = 8
_IPV6_BITS_LEFT_OUT: Final = 64


class ConnectionGuard:
    """Remembers who asked something when, and shuts out who stays silent or brings too many."""

    def __init__(
        self,
        port: int,
        monotonic: Callable[[], float],
        silent_seconds: float = SILENT_SECONDS,
        *,
        places: int = PLACES,
        places_of_one_block: int = PLACES_OF_ONE_BLOCK,
    ) -> None:
        """Guard the connections to ``port``; of its ``places`` one block of addresses gets a part."""
        self._port = port
        self._monotonic = monotonic
        self._silent_seconds = silent_seconds
        self._places = places
        self._places_of_one_block = places_of_one_block
        self._asked: dict[str, float] = {}
        self._reading: dict[str, float] = {}
        self._answered: dict[str, float] = {}
        self._first_seen: dict[str, float] = {}
        self._is_prepared = False
        self.closed = 0
        self.surplus = 0
        """How many were shut because their block of addresses had too many."""
        self.open = 0
        """How many there were when it was last looked."""

    @property
    def is_crowded(self) -> bool:
        """Say whether more than half of the places were taken when it was last looked."""
        return self.open > self._places // 2

    def reading(self, client: str) -> None:
        """Note that the connection from ``client`` (address and port) carries a request whose end is not there yet."""
        self._answered.pop(client, None)
        self._reading[client] = self._monotonic()

    def asked(self, client: str) -> None:
        """Note that the connection from ``client`` carries a request that is under way."""
        self._answered.pop(client, None)
        self._reading.pop(client, None)
        self._asked[client] = self._monotonic()

    def answered(self, client: str) -> None:
        """Note that what it asked is answered, as far as this program is concerned."""
        self._reading.pop(client, None)
        self._answered[client] = self._monotonic()

    async def run(self) -> None:
        """Sweep, for ever."""
        while True:
            is_soon = self.is_crowded or not self._is_prepared
            await asyncio.sleep(CROWDED_SWEEP_SECONDS if is_soon else SWEEP_SECONDS)
            try:
                await asyncio.to_thread(self.sweep)
            except OSError as error:  # no file left to look with, say: then more than ever somebody has to look again
                _log.warning("connections_not_seen", cause=str(error))

    def sweep(self) -> None:
        """Look once over every connection, and shut the silent ones and those that are too many."""
        now = self._monotonic()
        patience = CROWDED_PATIENCE if self.is_crowded else 1.0
        open_now: dict[str, float] = {}
        for client, connection in _connections(self._port):
            if client is None:
                self._prepare(connection)
                continue
            since = self._first_seen.get(client, now)
            open_now[client] = since
            if self._is_overdue(client, since, now, patience) and not self._is_owed(client, connection):
                self.closed += _shut(connection)
        self._first_seen, self.open = open_now, len(open_now)
        if len(open_now) > self._places_of_one_block:
            self._thin_out(self._too_many(open_now), now)
        for noted in (self._reading, self._asked, self._answered):
            for client in [client for client, at in list(noted.items()) if at < now and client not in open_now]:
                noted.pop(client, None)

    def _is_overdue(self, client: str, since: float, now: float, patience: float) -> bool:
        if (answered_at := self._answered.get(client)) is not None:
            return now - answered_at >= ANSWERED_SECONDS * patience
        if (reading_since := self._reading.get(client)) is not None:
            return now - reading_since >= self._silent_seconds
        if (asked_at := self._asked.get(client)) is not None:
            return now - asked_at >= IDLE_SECONDS
        return now - since >= self._silent_seconds * patience

    def _too_many(self, clients: Collection[str]) -> Collection[str]:
        """Name the connections of blocks of addresses that have too many, as far as they just hold a place.

        That are those that let us wait for the rest of a request, and those that were answered. A fleet that comes at
        once has neither for long.
        """
        blocks: defaultdict[str, list[str]] = defaultdict(list)
        for client in clients:
            blocks[block_of(client)].append(client)
        named: set[str] = set()
        for block in blocks.values():
            surplus = max(0, len(block) - self._places_of_one_block)
            idle = [client for client in block if client in self._reading or client in self._answered]
            named.update(idle[:surplus])
        return named

    def _thin_out(self, named: Collection[str], now: float) -> None:
        # Found anew: the number of a file may by now be that of another one.
        for client, connection in _connections(self._port):
            if client is not None and client in named and self._is_at_rest(client, connection, now):
                self.surplus += _shut(connection)

    def _is_at_rest(self, client: str, connection: socket.socket, now: float) -> bool:
        if (reading_since := self._reading.get(client)) is not None:
            return now - reading_since >= AT_LEAST_SECONDS
        # The kernel knows better: a new connection may come from the address and port of one that was just answered.
        return _seconds_since_received(connection) >= AT_LEAST_SECONDS

    def _is_owed(self, client: str, connection: socket.socket) -> bool:
        """Say whether a caller that never got to ask anything said something that we have not even read.

        In a storm handshakes wait for their turn. Whoever waits for us is not silent.
        """
        return client not in self._reading and client not in self._asked and _unread(connection) > 0

    def _prepare(self, listening: socket.socket) -> None:
        if not self._is_prepared:
            prepare(listening)
            self._is_prepared = True


def prepare(listening: socket.socket) -> None:
    """Tell the kernel what it can do about silent callers by itself; every connection inherits it (tcp(7))."""
    level = socket.IPPROTO_TCP
    listening.setsockopt(level, socket.TCP_DEFER_ACCEPT, FIRST_BYTES_SECONDS)
    listening.setsockopt(level, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_SECONDS * 1000)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(level, socket.TCP_KEEPIDLE, _PROBE_SECONDS)
    listening.setsockopt(level, socket.TCP_KEEPINTVL, _PROBE_SECONDS // 2)


def block_of(client: str) -> str:
    """Name the block of addresses that a connection comes from: of IPv4 256 addresses, of IPv6 one network (/64)."""
    host = client.rpartition(":")[0].strip("[]")
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"6/{int(address) >> _IPV6_BITS_LEFT_OUT:x}"
        address = address.ipv4_mapped
    return f"4/{int(address) >> _IPV4_BITS_LEFT_OUT:x}"


def _unread(connection: socket.socket) -> int:
    """Return how many bytes wait to be read."""
    try:
        return int.from_bytes(fcntl.ioctl(connection, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def _seconds_since_received(connection: socket.socket) -> float:
    """Return how long nothing came over a connection."""
    try:
        information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_RECEIVED + 4)
    except OSError:
        return 0.0
    return int.from_bytes(information[_LAST_RECEIVED:], sys.byteorder) / 1000


def _shut(connection: socket.socket) -> bool:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return False  # it went by itself
    return True


def _connections(port: int) -> Iterator[tuple[str | None, socket.socket]]:
    """Go through the sockets of this process on ``port``; the one that listens has no client.

    Nothing is duplicated or closed here: closing any descriptor of a file, be it a duplicate, drops every lock that the
    process holds on the file, and with them those that keep SQLite's log from being deleted by another process.
    """
    for entry in _FILES.iterdir():
        try:
            connection = socket.socket(fileno=int(entry.name))
        except OSError:
            continue  # no socket, or gone by now
        try:
            if (found := _found(connection, port)) is not None:
                yield found
        finally:
            connection.detach()


def _found(connection: socket.socket, port: int) -> tuple[str | None, socket.socket] | None:
    try:
        if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.getsockname()[1] != port:
            return None
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return None, connection
        host, peer_port = connection.getpeername()[:2]
    except OSError:
        return None  # its caller is gone already
    return f"[{host}]:{peer_port}" if ":" in host else f"{host}:{peer_port}", connection
