"""A fast client for storms of check-ins: one thread, one ``epoll``, a fresh TLS connection for each request.

    storm = Storm(port=…, authority_file=…)
    storm.send(fleet.device(1).check_in(authority, time.time()))
    for outcome in storm.outcomes(timeout=0.1): …

``Storm`` sends what it is given and says what came of it; what to send when is up to whoever calls. ``keep_up`` and
``at_rate`` are the two usual ways. ``python -m tests.support.check_in_storm`` drives a server from outside.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import ssl
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.storm_fleet import StormFleet, StormRequest

from shieldwall.contract.ids import TenantId

PATIENCE_SECONDS: Final = 30.0
_CHUNK: Final = 65_536
_OPEN_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a request: an answer, or why there was none."""

    request: StormRequest
    status: int
    """0 where no whole answer came."""
    begun: float
    seconds: float
    retry_after: int | None = None
    body: bytes = b""
    failure: str = ""
    """Where there was no answer: in what the connection ended."""


@dataclass(slots=True)
class _Exchange:
    request: StormRequest
    begun: float
    plain: socket.socket
    connection: ssl.SSLSocket | None = None
    sent: int = 0
    is_ready: bool = False
    received: bytes = b""


class Storm:
    """Requests under way to one server."""

    def __init__(
        self,
        *,
        port: int,
        authority_file: Path | None = None,
        host: str = "127.0.0.1",
        server_name: str = "localhost",
        patience: float = PATIENCE_SECONDS,
        sources: tuple[str, ...] = (),
    ) -> None:
        """Prepare; ``sources`` are loopback addresses to come from in turn, without them the system's choice.

        Without ``authority_file`` nobody's certificate is verified, which spares the client a tenth of a millisecond.
        """
        self._address = (host, port)
        self._server_name = server_name
        self._patience = patience
        self._sources = sources
        self._turn = 0
        self._tls = ssl.create_default_context(cafile=None if authority_file is None else str(authority_file))
        if authority_file is None:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        self._epoll = select.epoll()
        self._open: dict[int, _Exchange] = {}
        self._ended: list[Outcome] = []

    @property
    def under_way(self) -> int:
        """How many requests wait for their answers."""
        return len(self._open)

    def send(self, request: StormRequest) -> None:
        """Open a connection for a request; it goes on while ``outcomes`` is asked."""
        plain = socket.socket()
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange = _Exchange(request=request, begun=time.monotonic(), plain=plain)
        if self._sources:
            self._turn += 1
            plain.setsockopt(socket.SOL_IP, _BIND_ADDRESS_NO_PORT, 1)
            plain.bind((self._sources[self._turn % len(self._sources)], 0))
        plain.connect_ex(self._address)  # whatever it comes to, epoll tells
        self._open[plain.fileno()] = exchange
        self._epoll.register(plain.fileno(), select.EPOLLOUT | select.EPOLLONESHOT)

    def outcomes(self, timeout: float = 0.0) -> list[Outcome]:
        """Go on with what can go on, waiting at most ``timeout`` seconds for it, and tell what has ended."""
        for number, _ in self._epoll.poll(timeout):
            exchange = self._open.get(number)
            if exchange is not None:
                self._go_on(number, exchange)
        self._lose_patience()
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Give up whatever is under way."""
        for number in list(self._open):
            self._end(number, failure="given up")
        self._epoll.close()
        self._ended.clear()

    def _go_on(self, number: int, exchange: _Exchange) -> None:
        try:
            if exchange.connection is None:
                if failure := exchange.plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    self._end(number, failure=f"connect: {failure}")
                    return
                exchange.connection = self._wrapped(exchange.plain)
            self._speak(number, exchange, exchange.connection)
        except ssl.SSLWantReadError:
            self._epoll.modify(number, select.EPOLLIN | select.EPOLLONESHOT)
        except ssl.SSLWantWriteError:
            self._epoll.modify(number, select.EPOLLOUT | select.EPOLLONESHOT)
        except OSError as error:
            self._end(number, failure=f"{'answer' if exchange.is_ready else 'handshake'}: {error}")

    def _wrapped(self, plain: socket.socket) -> ssl.SSLSocket:
        """Begin TLS on a connection.

        Where the peer resets it at this very moment, Python gives the socket that it has just made to nobody, and
        complains when the collector closes it (``SSLSocket._create``): nobody could have closed it before.

        Raises:
            OSError: The connection was reset.
        """
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            try:
                return self._tls.wrap_socket(plain, server_hostname=self._server_name, do_handshake_on_connect=False)
            except OSError as error:
                reset = type(error)(*error.args)
        raise reset

    def _speak(self, number: int, exchange: _Exchange, connection: ssl.SSLSocket) -> None:
        if not exchange.is_ready:
            connection.do_handshake()
            exchange.is_ready = True
        wire = exchange.request.wire
        while exchange.sent < len(wire):
            exchange.sent += connection.send(wire[exchange.sent :])
        while True:
            chunk = connection.recv(_CHUNK)
            exchange.received += chunk
            if (answer := _whole(exchange.received)) is not None:
                status, retry_after, body = answer
                self._end(number, status=status, retry_after=retry_after, body=body)
                return
            if not chunk:
                self._end(number, failure="answer: ended")
                return

    def _end(
        self, number: int, *, status: int = 0, retry_after: int | None = None, body: bytes = b"", failure: str = ""
    ) -> None:
        exchange = self._open.pop(number)
        (exchange.connection or exchange.plain).close()
        self._ended.append(
            Outcome(
                request=exchange.request,
                status=status,
                begun=exchange.begun,
                seconds=time.monotonic() - exchange.begun,
                retry_after=retry_after,
                body=body,
                failure=failure,
            )
        )

    def _lose_patience(self) -> None:
        latest = time.monotonic() - self._patience
        while self._open:  # in the order in which they began
            number, oldest = next(iter(self._open.items()))
            if oldest.begun > latest:
                return
            self._end(number, failure="answer: too late" if oldest.is_ready else "handshake: too late")


def keep_up(storm: Storm, requests: Iterable[StormRequest], *, at_once: int = _OPEN_AT_ONCE) -> Iterator[Outcome]:
    """Send requests so that always ``at_once`` are under way, and tell what came of each as it ends."""
    waiting = iter(requests)
    is_more = True
    while is_more or storm.under_way:
        while is_more and storm.under_way < at_once:
            request = next(waiting, None)
            if request is None:
                is_more = False
            else:
                storm.send(request)
        yield from storm.outcomes(0.05)


def at_rate(
    storm: Storm,
    requests: Iterable[StormRequest],
    *,
    per_second: float,
    seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Outcome]:
    """Send so many requests a second whatever becomes of them: what a fleet does that nobody holds back."""
    waiting = iter(requests)
    begun, sent = monotonic(), 0
    while (passed := monotonic() - begun) < seconds:
        for _ in range(int(passed * per_second) - sent):
            request = next(waiting, None)
            if request is None:
                break
            storm.send(request)
            sent += 1
        yield from storm.outcomes(min(0.005, 1 / per_second))
    while storm.under_way:
        yield from storm.outcomes(0.05)


def _whole(received: bytes) -> tuple[int, int | None, bytes] | None:
    """Read an answer if all of it is there: status, Retry-After, body."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = received[:end].lower()
    length = _number(head, b"\r\ncontent-length: ") or 0
    if len(received) < end + 4 + length:
        return None
    return int(head[9:12]), _number(head, b"\r\nretry-after: "), received[end + 4 :]


def _number(head: bytes, name: bytes) -> int | None:
    if (start := head.find(name)) < 0:
        return None
    return int(head[start + len(name) :].split(b"\r", 1)[0])


_BIND_ADDRESS_NO_PORT: Final = 24  # ip(7), IP_BIND_ADDRESS_NO_PORT: the port is found when it connects


def main(arguments: list[str]) -> None:
    """Drive a server with check-ins without news and print a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.check_in_storm")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--authority", required=True, help="host and port as devices name the server")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--devices", type=int, required=True, help="1 to this number are enrolled")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=0, help="requests a second; without it, as many as are answered")
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--seq", type=int, default=0, help="the number that was used last")
    chosen = parser.parse_args(arguments)
    fleet = StormFleet(tenant_id=TenantId(chosen.tenant), count=chosen.devices)
    end = time.monotonic() + chosen.seconds

    def requests() -> Iterator[StormRequest]:
        for device in fleet:
            device.seq = chosen.seq
        while time.monotonic() < end:
            for device in fleet:
                if time.monotonic() >= end:
                    return
                yield device.check_in(chosen.authority, time.time())

    storm = Storm(port=chosen.port)
    begun, cpu = time.monotonic(), time.process_time()
    if chosen.rate:
        ended = list(at_rate(storm, requests(), per_second=chosen.rate, seconds=chosen.seconds))
    else:
        ended = list(keep_up(storm, requests(), at_once=chosen.at_once))
    took, used = time.monotonic() - begun, time.process_time() - cpu
    times = sorted(outcome.seconds for outcome in ended) or [0.0]
    told = {
        "seconds": round(took, 2),
        "answered": Counter(str(outcome.status or outcome.failure) for outcome in ended),
        "per_second": round(len(ended) / took),
        "p50_ms": round(times[len(times) // 2] * 1e3, 1),
        "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 1),
        "client_us": round(used / max(1, len(ended)) * 1e6),
        "seq": max((device.seq for device in fleet), default=0),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
