"""CPU of a full check-in on the server (fresh TLS, signature, durable) against nginx answering 204 over TLS.

Rounds are interleaved and the medians compared; only the servers' own processor time counts, on PostgreSQL with that of
the database. Each server has a core, and whoever asks has another (``cores``). A check-in is what a device sends when
nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.support.storm_fleet import StormRequest

from benchmarks.bars import CHECK_IN_TO_NGINX
from benchmarks.clusters import ENGINES, NOT_THERE, storage
from benchmarks.figures import Figure, Peer
from benchmarks.gateways import Asked, answered_204, asked_without_news, parts
from benchmarks.programs import nginx

_DEVICES: Final = 1_000
_NGINX_PORT: Final = 18445
_GET: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_NGINX: Final = "nginx, 204 over TLS"


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure both engines in interleaved rounds: as many at a time as come to a busy server, and very few."""
    rounds, requests = (3, 200) if quick else (7, 2_000)
    asked: dict[str, Asked] = {}
    with ExitStack() as stack:
        for engine in ENGINES:
            there = stack.enter_context(storage(home, engine))
            if there is not None:
                asked[engine] = stack.enter_context(asked_without_news(there, _DEVICES))
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
    for engine in ENGINES:
        if engine not in costs:
            yield Figure.missing(what, "µs CPU", NOT_THERE, engine=engine, bar=bar)
            continue
        said = f"{parts(engine)}; {note}"
        yield Figure.of(what, costs[engine], "µs CPU", engine=engine, peer=peer, bar=bar, note=said)


def _asking_nginx(pids: list[int]) -> Asked:
    def send(requests: int, at_once: int) -> None:
        made = (StormRequest(device=0, seq=0, wire=_GET, body=b"") for _ in range(requests))
        answered_204(_NGINX_PORT, made, at_once)

    return Asked(send, pids)
