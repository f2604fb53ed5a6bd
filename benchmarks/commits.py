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
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import text
from tests.support.check_in_storm import Storm, keep_up
from tests.support.storm_fleet import StormFleet

from benchmarks.bars import ACKS_PER_FSYNC
from benchmarks.clusters import cluster, programs
from benchmarks.figures import POSTGRESQL, SQLITE, Engine, Figure
from benchmarks.programs import SHIELDWALL, run, started, wait_for_port
from shieldwall.server.storage.database import Database

_AT_ONCE: Final = 256
_DEVICES: Final = 2_000
_WHAT: Final = f"acknowledged check-ins for one fsync, {_AT_ONCE} devices at a time"
_PORTS: Final[dict[Engine, tuple[int, int]]] = {SQLITE: (18513, 18514), POSTGRESQL: (18515, 18516)}


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure both engines, one after the other."""
    rounds, seconds = (2, 3.0) if quick else (5, 10.0)
    figures = [_measured(home / "sqlite", SQLITE, rounds, seconds)]
    if programs() is None:
        return [*figures, Figure.missing(_WHAT, "", "needs PostgreSQL", engine=POSTGRESQL, bar=ACKS_PER_FSYNC)]
    with cluster(home / "cluster") as running:
        figures.append(_measured(home / "postgresql", POSTGRESQL, rounds, seconds, running.url))
    return figures


def _measured(data: Path, engine: Engine, rounds: int, seconds: float, url: str | None = None) -> Figure:
    admin_port, gateway_port = _PORTS[engine]
    authority = f"localhost:{gateway_port}"
    urls = ("--public-url", f"https://localhost:{admin_port}", "--gateway-url", f"https://{authority}")
    run(SHIELDWALL, "server", "init", "--data", str(data), *urls, *(("--database", url) if url else ()))
    database = Database(url or f"sqlite:///{data / 'shieldwall.db'}")
    tenant = msgspec.json.decode((data / "server.json").read_bytes())["tenantId"]
    fleet = StormFleet(tenant_id=tenant, count=_DEVICES)
    fleet.enrol(database)
    shares, answered = [], 0
    with ExitStack() as stack:
        words = ("server", "run", "--data", str(data), "--role", "signer", "--role", "gateway")
        stack.enter_context(started([SHIELDWALL, *words], data / "server.log"))
        wait_for_port(gateway_port)
        synced: Callable[[], float] = lambda: _metric(gateway_port, "commits")  # noqa: E731 - one of two
        if engine == POSTGRESQL:
            synced = lambda: _syncs(database)  # noqa: E731 - as above
        _storm(fleet, authority, gateway_port, seconds / 3)
        for _ in range(rounds):
            before = synced()
            taken = _storm(fleet, authority, gateway_port, seconds)
            shares.append(taken / max(1.0, synced() - before))
            answered += taken
    database.close()
    note = f"{rounds} rounds of {seconds:.0f} s, {answered:,} acknowledged"
    return Figure.of(_WHAT, shares, "", engine=engine, bar=ACKS_PER_FSYNC, note=note)


def _storm(fleet: StormFleet, authority: str, port: int, seconds: float) -> int:
    """Let devices come for a while; return how many were acknowledged. Who is sent away comes again later."""
    end, storm = time.monotonic() + seconds, Storm(port=port)
    devices = itertools.cycle(fleet)
    until = iter(lambda: time.monotonic() < end, False)
    coming = (next(devices).check_in(authority, time.time()) for _ in until)
    taken = sum(outcome.status == 204 for outcome in keep_up(storm, coming, at_once=_AT_ONCE))
    storm.close()
    return taken


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
