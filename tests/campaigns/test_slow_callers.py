"""L-SLOW and L-AUTHFLOOD: callers that are slow, silent or gone, and callers that are nobody, against a real gateway.

Each bad connection is ended within half a minute, and good devices are served meanwhile.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import pytest
from tests.support.campaign import size
from tests.support.check_in_storm import Storm, keep_up
from tests.support.storm_fleet import StormFleet, StormRequest
from tests.support.storm_server import StormServer

ENDED_SECONDS = 30.0
FORGIVEN_SECONDS = 5.0
"""What a machine with other work may be late."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StormServer]:
    made = StormServer.made(tmp_path_factory.mktemp("slow"))
    with made.running():
        yield made


@pytest.fixture(scope="module")
def fleet(server: StormServer) -> StormFleet:
    return server.enrolled(200)


@dataclass
class BadCaller:
    """A connection that does something it should not: ``drip`` is called every second."""

    name: str
    connection: socket.socket
    drip: Callable[[socket.socket], None] = lambda _connection: None
    begun: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def go_on(self) -> None:
        if self.ended:
            return
        try:
            self.drip(self.connection)
            if self.connection.recv(65_536) == b"":
                self.ended = time.monotonic() - self.begun
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self.ended = time.monotonic() - self.begun


def plain(server: StormServer) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.settings.gateway_port), timeout=20)
    connection.setblocking(False)
    return connection


def secured(server: StormServer, said: bytes) -> socket.socket:
    context = ssl.create_default_context(cafile=str(server.settings.tls_authority))
    raw = socket.create_connection(("127.0.0.1", server.settings.gateway_port), timeout=20)
    connection = context.wrap_socket(raw, server_hostname="localhost")
    connection.sendall(said)
    connection.setblocking(False)
    return connection


def letter(connection: socket.socket) -> None:
    connection.send(b"x")


def header(connection: socket.socket) -> None:
    connection.send(b"X-Slow: a\r\n")


def bad_callers(server: StormServer) -> list[BadCaller]:
    start = f"POST /device/v1/time HTTP/1.1\r\nHost: {server.authority}\r\n".encode()
    body = start + b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    health = f"GET /healthz HTTP/1.1\r\nHost: {server.authority}\r\n\r\n".encode()
    hello = bytes.fromhex("1603010200010001fc0303")
    return [
        BadCaller("says nothing", plain(server)),
        BadCaller("says one letter of TLS", plain(server), lambda connection: _once(connection, hello[:1])),
        BadCaller("drips its handshake", plain(server), lambda connection: _drip(connection, hello)),
        BadCaller("shakes hands and says nothing", secured(server, b"")),
        BadCaller("drips a header", secured(server, start), header),
        BadCaller("stops in a header", secured(server, start)),
        BadCaller("drips a body", secured(server, body), letter),
        BadCaller("stops in a body", secured(server, body)),
        BadCaller("asks once and stays", secured(server, health)),
    ]


_SENT: dict[int, int] = {}


def _once(connection: socket.socket, said: bytes) -> None:
    if connection.fileno() not in _SENT:
        _SENT[connection.fileno()] = connection.send(said)


def _drip(connection: socket.socket, said: bytes) -> None:
    """One byte a second of a record that would be 512 long."""
    sent = _SENT.get(-connection.fileno(), 0)
    connection.send(said[sent : sent + 1] or b"\0")
    _SENT[-connection.fileno()] = sent + 1


def served(storm: Storm, fleet: StormFleet, authority: str, seconds: float) -> list[float]:
    """Let devices check in one after the other for so long; say how long each took, all being answered."""
    end, times = time.monotonic() + seconds, []

    def requests() -> Iterator[StormRequest]:
        while time.monotonic() < end:
            for device in fleet:
                if time.monotonic() < end:
                    yield device.check_in(authority, time.time())

    for outcome in keep_up(storm, requests(), at_once=4):
        assert outcome.status == 204, outcome
        times.append(outcome.seconds)
    return times


@contextmanager
def a_storm(server: StormServer) -> Iterator[Storm]:
    with closing(server.storm()) as storm:
        yield storm


def test_slow_and_silent_callers_are_ended_within_half_a_minute_and_good_ones_are_served(
    server: StormServer, fleet: StormFleet
) -> None:
    _SENT.clear()
    with ExitStack() as stack:
        storm = stack.enter_context(a_storm(server))
        callers = bad_callers(server)
        for _ in range(size(short=40, full=200)):  # and many that just sit there
            callers.append(BadCaller("sits there", secured(server, b"")))
        for caller in callers:
            stack.callback(caller.connection.close)
        begun = time.monotonic()
        good = 0
        while not all(caller.ended for caller in callers):
            good += len(served(storm, fleet, server.authority, 0.2))
            time.sleep(0.8)  # a good device is not in the way of other tests
            for caller in callers:
                caller.go_on()
            late = time.monotonic() - begun
            still = [caller.name for caller in callers if not caller.ended]
            assert late < ENDED_SECONDS + FORGIVEN_SECONDS, f"after {late:.0f} s these are still there: {still}"
        assert good > 0


def test_signatures_of_nobody_keep_no_device_out(server: StormServer, fleet: StormFleet) -> None:
    nobody = StormFleet(tenant_id=server.settings.tenant_id, count=50, seed="nobody")
    forged = StormFleet(tenant_id=server.settings.tenant_id, count=50, first=1)
    seconds = size(short=3, full=30)
    with a_storm(server) as storm:
        alone = len(served(storm, fleet, server.authority, seconds))
        end, refused, good = time.monotonic() + seconds, 0, 0
        number = 0
        while time.monotonic() < end:
            while storm.under_way < 8:
                number += 1
                if number % 2:
                    request = fleet.device(fleet.first + number % fleet.count).check_in(server.authority, time.time())
                elif number % 4:
                    request = nobody.device(1 + number % nobody.count).check_in(server.authority, time.time())
                else:
                    request = _forged(forged, number, server.authority)
                storm.send(request)
            for outcome in storm.outcomes(0.05):
                assert outcome.status in {204, 401, 409}, outcome
                refused += outcome.status == 401
                good += outcome.status == 204
        while storm.under_way:
            storm.outcomes(0.05)
    assert refused > 0
    assert good >= 0.3 * alone, "half of what is asked is nobody's, and costs the same handshake"


def _forged(fleet: StormFleet, number: int, authority: str) -> StormRequest:
    """A check-in of a device that is there, whose signature is another's."""
    device = fleet.device(1 + number % fleet.count)
    request = device.again(StormRequest(device=device.number, seq=0, wire=b"", body=b"{}"), authority, time.time())
    return StormRequest(device=device.number, seq=0, wire=request.wire[:-2] + b"[]", body=b"[]")
