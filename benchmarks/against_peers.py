"""A check-in without news beside CFEngine's and Puppet Server's, all three servers in one run, rounds interleaved.

Only the servers' processor time counts, on a core of their own (``cores``). As many devices come at a time as come to a
busy server, and very few, as in ``check_in``, and every time over a connection of their own, as devices do. A run of
CFEngine's agent asks for the file that tells whether anything changed, and nothing did. Puppet Server compiles a
catalog of thirty files, which is what it does whenever an agent asks. Two of their agents run at a time: more would
only wait for each other, so heavy they are.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from tests.support.check_in_storm import Storm, keep_up
from tests.support.storm_fleet import StormDevice, StormFleet

from benchmarks.bars import CHECK_IN_TO_CFENGINE, CHECK_IN_TO_PUPPET
from benchmarks.cores import apart
from benchmarks.figures import SQLITE, Figure, Peer
from benchmarks.peers import RESOURCES, WARM_UP, Running, cfengine, has_cfengine, has_puppet_server, puppet_server
from benchmarks.programs import Server, processor_seconds
from shieldwall.server.storage.database import Database

_ADMIN_PORT, _GATEWAY_PORT, _CFENGINE_PORT, _PUPPET_PORT = 18473, 18474, 18475, 18476
_AUTHORITY: Final = f"localhost:{_GATEWAY_PORT}"
_AT_ONCE: Final = (64, 8)
_PEERS_AT_ONCE: Final = 2
_INSTALL: Final = "needs Debian's packages: scripts/debian-packages cf-serverd puppetserver"
_US: Final = {many: f"check-in without news, {many} devices at a time" for many in _AT_ONCE}
_CFENGINE: Final = "CFEngine, nothing changed"
_PUPPET: Final = f"Puppet Server, a catalog of {RESOURCES} resources"


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure in interleaved rounds; peers that are not installed are named as missing."""
    rounds, questions, warm_up = (
        (2, dict.fromkeys(_US.values(), 100) | {_CFENGINE: 20, _PUPPET: 5}, 20)
        if quick
        else (5, dict.fromkeys(_US.values(), 1_000) | {_CFENGINE: 80, _PUPPET: 40}, WARM_UP)
    )
    server = Server(home / "shieldwall", admin_port=_ADMIN_PORT, gateway_port=_GATEWAY_PORT)
    server.home.mkdir()
    with ExitStack() as running:
        ours = running.enter_context(server.running())
        coming = _met_once(server)
        asked: dict[str, tuple[list[int], Callable[[int], None]]] = {
            name: (ours, partial(_check_in, coming, many)) for many, name in _US.items()
        }
        if has_cfengine():
            peer = running.enter_context(cfengine(home / "cfengine", port=_CFENGINE_PORT))
            asked[_CFENGINE] = (peer.pids, _by_many(peer))
        if has_puppet_server():
            peer = running.enter_context(puppet_server(home / "puppet", port=_PUPPET_PORT, warm_up=warm_up))
            asked[_PUPPET] = (peer.pids, _by_many(peer))
        costs: dict[str, list[float]] = {name: [] for name in asked}
        for _ in range(rounds):
            for name, (pids, ask) in asked.items():
                with apart(pids):
                    before = processor_seconds(pids)
                    ask(questions[name])
                    costs[name].append((processor_seconds(pids) - before) / questions[name] * 1e6)
    note = f"gateway and signer; {rounds} interleaved rounds"
    return [
        Figure.of(us, costs[us], "µs CPU", engine=SQLITE, peer=Peer.of(peer, costs[peer]), bar=bar, note=note)
        if peer in costs
        else Figure.missing(f"{us}, to {peer}", "µs CPU", _INSTALL, engine=SQLITE, bar=bar)
        for peer, bar in ((_CFENGINE, CHECK_IN_TO_CFENGINE), (_PUPPET, CHECK_IN_TO_PUPPET))
        for us in _US.values()
    ]


def _met_once(server: Server) -> Iterator[StormDevice]:
    """Return devices that come in turn for ever, each of which has been met."""
    tenant = msgspec.json.decode((server.data / "server.json").read_bytes())["tenantId"]
    fleet = StormFleet(tenant_id=tenant, count=400)
    database = Database.at(server.data / "shieldwall.db")
    fleet.enrol(database)
    database.close()
    coming = itertools.cycle(fleet)
    _check_in(coming, max(_AT_ONCE), fleet.count)
    return coming


def _check_in(coming: Iterator[StormDevice], at_once: int, many: int) -> None:
    storm = Storm(port=_GATEWAY_PORT)
    requests = (next(coming).check_in(_AUTHORITY, time.time()) for _ in range(many))
    for outcome in keep_up(storm, requests, at_once=at_once):
        assert outcome.status == 204, f"{outcome.status} {outcome.failure} {outcome.body[:200]!r}"
    storm.close()


def _by_many(peer: Running) -> Callable[[int], None]:
    def ask(many: int) -> None:
        with ThreadPoolExecutor(_PEERS_AT_ONCE) as pool:
            list(pool.map(lambda _: peer.ask(), range(many)))

    return ask
