"""How many durable acknowledgements share a commit while very many devices come at once, on both engines.

The gateway counts its transactions and the pieces of work in them. On SQLite a commit is one fsync (write-ahead log,
``synchronous=FULL``; checkpoints aside); PostgreSQL counts itself how often it has synced its log.
"""

from __future__ import annotations

import itertools
import re
import ssl
import time
import urllib.request
from pathlib import Path
from typing import Final

from sqlalchemy import text
from tests.support.check_in_storm import Storm, keep_up

from benchmarks.bars import ACKS_PER_FSYNC
from benchmarks.clusters import Storage, on_each_engine
from benchmarks.figures import POSTGRESQL, Figure
from benchmarks.gateways import Gateway, gateway
from shieldwall.server.storage.engine.database import Database

_AT_ONCE: Final = 256
_DEVICES: Final = 2_000
_WHAT: Final = f"acknowledged check-ins for one fsync, {_AT_ONCE} devices at a time"


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure both engines, one after the other."""
    rounds, seconds = (2, 3.0) if quick else (5, 10.0)
    return on_each_engine(home, lambda there: [_measured(there, rounds, seconds)])


def _measured(there: Storage, rounds: int, seconds: float) -> Figure:
    shares, answered = [], 0
    with gateway(there, _DEVICES) as running:
        _storm(running, seconds / 3)
        for _ in range(rounds):
            before = _synced(there, running)
            taken = _storm(running, seconds)
            shares.append(taken / max(1.0, _synced(there, running) - before))
            answered += taken
    note = f"{rounds} rounds of {seconds:.0f} s, {answered:,} acknowledged"
    return Figure.of(_WHAT, shares, "", engine=there.engine, bar=ACKS_PER_FSYNC, note=note)


def _storm(running: Gateway, seconds: float) -> int:
    """Let devices come for a while; return how many were acknowledged. Who is sent away comes again later."""
    end, storm = time.monotonic() + seconds, Storm(port=running.port)
    devices = itertools.cycle(running.fleet)
    until = iter(lambda: time.monotonic() < end, False)
    coming = (next(devices).check_in(running.authority, time.time()) for _ in until)
    taken = sum(outcome.status == 204 for outcome in keep_up(storm, coming, at_once=_AT_ONCE))
    storm.close()
    return taken


def _synced(there: Storage, running: Gateway) -> float:
    """Return how often commits were brought to the disk until now, as whoever does it counts."""
    return _syncs(running.database) if there.engine == POSTGRESQL else _metric(running.port, "commits")


def _metric(port: int, name: str) -> float:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(f"https://localhost:{port}/metrics", context=context) as answer:
        said = answer.read().decode()
    found = re.search(rf"^shieldwall_gateway_{name} (\S+)$", said, re.MULTILINE)
    assert found is not None, said[:2000]
    return float(found[1])


def _syncs(database: Database) -> float:
    with database.read() as connection:
        return float(connection.execute(text("SELECT wal_sync FROM pg_stat_wal")).scalar_one())
