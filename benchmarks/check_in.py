"""CPU of a full check-in on the server (fresh TLS, signature, durable) against nginx answering 204 over TLS.

Rounds are interleaved and the medians compared; only the servers' own processor time counts, on PostgreSQL with that of
the database. Each server has a core, and whoever asks has another (``cores``). A check-in is what a device sends when
nothing has changed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from tests.support.check_in_storm import Storm, keep_up
from tests.support.storm_fleet import StormFleet, StormRequest

from benchmarks.bars import CHECK_IN_TO_NGINX
from benchmarks.clusters import Cluster, cluster, programs
from benchmarks.cores import apart
from benchmarks.figures import POSTGRESQL, SQLITE, Engine, Figure, Peer
from benchmarks.programs import (
    SHIELDWALL,
    children,
    command_line,
    nginx,
    processor_seconds,
    run,
    started,
    wait_for_port,
)
from shieldwall.server.storage.database import Database

_DEVICES: Final = 1_000
_PORTS: Final[dict[Engine, tuple[int, int]]] = {SQLITE: (18443, 18444), POSTGRESQL: (18446, 18447)}
_NGINX_PORT: Final = 18445
_GET: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_NGINX: Final = "nginx, 204 over TLS"


@dataclass(frozen=True)
class Asked:
    """A server that is asked: how to send it so many requests with so many at a time, and what it has worked."""

    send: Callable[[int, int], None]
    pids: list[int]
    """What answers."""
    database: Cluster | None = None

    def cost(self, requests: int, at_once: int) -> float:
        """Return the processor time of a request in microseconds."""
        with apart([*self.pids, *(self.database.pids() if self.database else ())]):
            before = self._seconds()
            self.send(requests, at_once)
            return (self._seconds() - before) / requests * 1e6

    def _seconds(self) -> float:
        return processor_seconds(self.pids) + (self.database.processor_seconds() if self.database else 0.0)


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure both engines in interleaved rounds: as many at a time as come to a busy server, and very few."""
    rounds, requests = (3, 200) if quick else (7, 2_000)
    with ExitStack() as stack:
        asked = {SQLITE: stack.enter_context(_gateway(home / "sqlite", SQLITE, None))}
        if programs() is not None:
            running = stack.enter_context(cluster(home / "cluster"))
            asked[POSTGRESQL] = stack.enter_context(_gateway(home / "postgresql", POSTGRESQL, running))
        tls = home / "sqlite" / "tls"
        peer = nginx(home / "nginx", port=_NGINX_PORT, certificate=tls / "server.pem", key=tls / "server.key")
        asked[_NGINX] = _asking_nginx(stack.enter_context(peer))
        figures: list[Figure] = []
        for at_once in (64, 8):
            costs: dict[str, list[float]] = {name: [] for name in asked}
            for _ in range(rounds):
                for name, each in asked.items():
                    costs[name].append(each.cost(requests, at_once))
            figures += _figures(costs, at_once, f"{rounds} interleaved rounds of {requests}")
    return figures


def _figures(costs: dict[str, list[float]], at_once: int, note: str) -> Iterator[Figure]:
    what, bar = f"full check-in without news, {at_once} devices at a time", CHECK_IN_TO_NGINX
    peer = Peer.of(_NGINX, costs[_NGINX])
    engines: tuple[Engine, ...] = (SQLITE, POSTGRESQL)
    for engine in engines:
        if engine not in costs:
            yield Figure.missing(what, "µs CPU", "needs PostgreSQL", engine=engine, bar=bar)
            continue
        parts = "gateway and signer" if engine == SQLITE else "gateway, signer and database"
        yield Figure.of(what, costs[engine], "µs CPU", engine=engine, peer=peer, bar=bar, note=f"{parts}; {note}")


@contextmanager
def _gateway(data: Path, engine: Engine, database: Cluster | None) -> Iterator[Asked]:
    admin_port, gateway_port = _PORTS[engine]
    authority = f"localhost:{gateway_port}"
    urls = ("--public-url", f"https://localhost:{admin_port}", "--gateway-url", f"https://{authority}")
    where = () if database is None else ("--database", database.url)
    run(SHIELDWALL, "server", "init", "--data", str(data), *urls, *where)
    settings = msgspec.json.decode((data / "server.json").read_bytes())
    fleet = StormFleet(tenant_id=settings["tenantId"], count=_DEVICES)
    opened = Database(settings["database"])
    fleet.enrol(opened)
    opened.close()
    coming = itertools.cycle(fleet)

    def send(requests: int, at_once: int) -> None:
        _storm(gateway_port, (next(coming).check_in(authority, time.time()) for _ in range(requests)), at_once)

    words = ("server", "run", "--data", str(data), "--role", "signer", "--role", "gateway")
    with started([SHIELDWALL, *words], data / "server.log") as pid:
        wait_for_port(gateway_port)
        pids = [each for each in children(pid) if _is_measured(command_line(each))]
        send(_DEVICES, 64)  # each has been met once
        yield Asked(send, pids, database)


def _is_measured(command: str) -> bool:
    return "gateway_process" in command or "shieldwall.server.signer" in command


def _asking_nginx(pids: list[int]) -> Asked:
    def send(requests: int, at_once: int) -> None:
        _storm(_NGINX_PORT, (StormRequest(device=0, seq=0, wire=_GET, body=b"") for _ in range(requests)), at_once)

    return Asked(send, pids)


def _storm(port: int, requests: Iterator[StormRequest], at_once: int) -> None:
    storm = Storm(port=port)
    for outcome in keep_up(storm, requests, at_once=at_once):
        assert outcome.status == 204, f"{outcome.status} {outcome.failure} {outcome.body[:200]!r}"
    storm.close()
