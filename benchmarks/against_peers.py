"""A check-in without news beside CFEngine's and Puppet Server's, all servers in one run, rounds interleaved.

Ours on both engines: SQLite, and PostgreSQL with what the database itself works. Only the servers' processor time
counts, on a core of their own (``cores``). As many devices come at a time as come to a busy server, and very few, as in
``check_in``, and every time over a connection of their own, as devices do. A run of CFEngine's agent asks for the file
that tells whether anything changed, and nothing did. Puppet Server compiles a catalog of thirty files, which is what it
does whenever an agent asks. Two of their agents run at a time: more would only wait for each other, so heavy they are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.bars import CHECK_IN_TO_CFENGINE, CHECK_IN_TO_PUPPET
from benchmarks.clusters import ENGINES, NOT_THERE, storage
from benchmarks.figures import Bar, Engine, Figure, Peer
from benchmarks.gateways import Asked, asked_without_news, parts
from benchmarks.peers import RESOURCES, WARM_UP, Running, cfengine, has_cfengine, has_puppet_server, puppet_server

_CFENGINE_PORT, _PUPPET_PORT = 18475, 18476
_DEVICES: Final = 400
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
    with ExitStack() as stack:
        asked: dict[tuple[str, str], tuple[Asked, int]] = {}
        for engine in ENGINES:
            there = stack.enter_context(storage(home, engine))
            if there is not None:
                ours = stack.enter_context(asked_without_news(there, _DEVICES))
                asked |= {(engine, us): (ours, many) for many, us in _US.items()}
        if has_cfengine():
            peer = stack.enter_context(cfengine(home / "cfengine", port=_CFENGINE_PORT))
            asked["", _CFENGINE] = (_asking(peer), _PEERS_AT_ONCE)
        if has_puppet_server():
            peer = stack.enter_context(puppet_server(home / "puppet", port=_PUPPET_PORT, warm_up=warm_up))
            asked["", _PUPPET] = (_asking(peer), _PEERS_AT_ONCE)
        costs: dict[tuple[str, str], list[float]] = {named: [] for named in asked}
        for _ in range(rounds):
            for named, (each, at_once) in asked.items():
                costs[named].append(each.cost(questions[named[1]], at_once))
    return [
        _figure(costs, us, peer, engine=engine, bar=bar, note=f"{parts(engine)}; {rounds} interleaved rounds")
        for peer, bar in ((_CFENGINE, CHECK_IN_TO_CFENGINE), (_PUPPET, CHECK_IN_TO_PUPPET))
        for us in _US.values()
        for engine in ENGINES
    ]


def _figure(
    costs: dict[tuple[str, str], list[float]], us: str, peer: str, *, engine: Engine, bar: Bar, note: str
) -> Figure:
    why = NOT_THERE if (engine, us) not in costs else _INSTALL if ("", peer) not in costs else ""
    if why:
        return Figure.missing(f"{us}, to {peer}", "µs CPU", why, engine=engine, bar=bar)
    theirs = Peer.of(peer, costs["", peer])
    return Figure.of(us, costs[engine, us], "µs CPU", engine=engine, peer=theirs, bar=bar, note=note)


def _asking(peer: Running) -> Asked:
    def send(many: int, at_once: int) -> None:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda _: peer.ask(), range(many)))

    return Asked(send, peer.pids)
