"""A million devices in the database: how large it is, and what their check-ins cost, on both engines.

The fleet is made in minutes (``large_tenants``), and has what a server keeps of devices after some months. Then the
server's own programs run over it, signer and gateway, and devices spread over all of it check in without news, 185 a
second: what a million sends when each comes every 90 minutes. Server and devices have a core each (``cores``).

``SHIELDWALL_BENCHMARK_MILLION`` names a directory in which the servers are kept, to be found again the next time.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.admin import create_admin_world
from tests.support.check_in_storm import Outcome, Storm, at_rate, keep_up

from benchmarks.bars import CHECK_INS_SHARE, WHOLE_STATE
from benchmarks.clusters import Storage, on_each_engine
from benchmarks.cores import apart
from benchmarks.figures import POSTGRESQL, Bar, Engine, Figure
from benchmarks.known_devices import KnownDevice, take_over
from benchmarks.large_tenants import fill
from benchmarks.programs import SHIELDWALL, gateway_and_signer, processor_seconds, run, started, wait_for_port
from benchmarks.table_sizes import by_table, sizes
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database

FLEET: Final = 1_000_000
KEPT: Final = "SHIELDWALL_BENCHMARK_MILLION"
PER_SECOND: Final = 185
_ADMIN_PORT, _GATEWAY_PORT = 18503, 18504
_AUTHORITY: Final = f"localhost:{_GATEWAY_PORT}"
_ENOUGH: Final = 0.99
"""Of all check-ins so many have to be answered 204, or the figure is of something else."""
_SHOWN: Final = 40
"""Of tables and indexes the largest."""


@dataclass(frozen=True, slots=True)
class _Scale:
    fleet: int
    speaking: int
    rounds: int
    seconds: float

    def bar(self, bar: Bar) -> Bar | None:
        """Return a bar of the product: a smaller fleet is held to none."""
        return bar if self.fleet >= FLEET else None


_WHOLE: Final = _Scale(fleet=FLEET, speaking=5_000, rounds=5, seconds=30)
_QUICK: Final = _Scale(fleet=5_000, speaking=1_000, rounds=2, seconds=4)


@dataclass(frozen=True, slots=True)
class _Home:
    """A server's storage, and the database in it."""

    storage: Storage
    database: Database

    @property
    def data(self) -> Path:
        return self.storage.home

    @property
    def engine(self) -> Engine:
        return self.storage.engine


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure both engines, one after the other."""
    scale = _QUICK if quick else _WHOLE
    kept = home if quick else Path(os.environ.get(KEPT, home))
    return on_each_engine(kept, lambda there: _measured(there, scale))


def _measured(there: Storage, scale: _Scale) -> list[Figure]:
    with _filled(there, scale) as found:
        return [_size(found, scale), *_check_ins(found, scale)]


@contextmanager
def _filled(there: Storage, scale: _Scale) -> Iterator[_Home]:
    """Make a fleet there, or find one that was kept."""
    is_new = not there.home.exists()
    if is_new:
        urls = ("--public-url", f"https://localhost:{_ADMIN_PORT}", "--gateway-url", f"https://{_AUTHORITY}")
        run(SHIELDWALL, "server", "init", "--data", str(there.home), *urls, *there.words)
    database = Database(there.url or f"sqlite:///{there.home / 'shieldwall.db'}")
    if is_new:
        begun = time.monotonic()
        with TemporaryDirectory() as keys:
            fill(create_admin_world(database, Path(keys) / "data"), scale.fleet)
        print(f"{scale.fleet:,} devices on {there.engine}: made in {time.monotonic() - begun:.0f} s", flush=True)
    else:
        migrate.upgrade(database)
    yield _Home(there, database)
    database.close()


def _size(home: _Home, scale: _Scale) -> Figure:
    listed = sizes(home.database)
    print(f"the largest tables and indexes on {home.engine}, bytes a device")
    for each in listed[:_SHOWN]:
        print(f"  {each.table:20} {each.kind:6} {each.name:52} {each.size / scale.fleet:8.1f}")
    most = by_table(listed).most_common(6)
    note = ", ".join(f"{table} ({kind}) {size / scale.fleet:,.0f} bytes a device" for (table, kind), size in most)
    total = sum(each.size for each in listed) / 1e9
    return Figure(_size_of(scale), total, "GB", engine=home.engine, bar=scale.bar(WHOLE_STATE), note=note)


def _check_ins(home: _Home, scale: _Scale) -> list[Figure]:
    # Keys of another run would be taken for spent ones: they are drawn anew for each.
    speaking = take_over(home.database, scale.speaking, seed=f"million {time.time_ns()}")
    coming = itertools.cycle(speaking)
    with _serving(home) as pids:
        storm = Storm(port=_GATEWAY_PORT)
        for _ in _once(storm, speaking):
            pass  # their keys are read for the first time: nobody reads a million keys every 90 minutes
        costs, answered, times = [], Counter[str](), []
        for _ in range(scale.rounds):
            with apart([*pids, *home.storage.pids()]):
                before = _worked(home, pids)
                outcomes = _round(storm, coming, scale.seconds)
            # By what was answered: on a busy machine fewer come in the time than were meant to.
            costs.append((_worked(home, pids) - before) / max(1, sum(each.status == 204 for each in outcomes)) * 1e6)
            answered.update(str(each.status or each.failure) for each in outcomes)
            times += [each.seconds * 1e3 for each in outcomes]
        storm.close()
    if answered["204"] < _ENOUGH * answered.total():
        why = f"the machine was too busy, or the server too slow: answered {dict(answered.most_common(4))}"
        return [
            Figure.missing(_share_of(scale), "% of a core", why, engine=home.engine, bar=scale.bar(CHECK_INS_SHARE))
        ]
    note = f"{scale.rounds} rounds of {scale.seconds:.0f} s, answered {dict(answered)}; gateway, signer" + (
        ", all of PostgreSQL" if home.engine == POSTGRESQL else ""
    )
    shares = [cost / 1e6 * PER_SECOND * 100 for cost in costs]
    return [
        Figure.of(
            _share_of(scale), shares, "% of a core", engine=home.engine, bar=scale.bar(CHECK_INS_SHARE), note=note
        ),
        Figure.of(f"{_share_of(scale)}: each", costs, "µs CPU", engine=home.engine),
        Figure.of(f"{_share_of(scale)}: until answered", times, "ms", engine=home.engine),
    ]


def _round(storm: Storm, coming: Iterator[KnownDevice], seconds: float) -> list[Outcome]:
    requests = (device.without_news(_AUTHORITY, time.time()) for device in coming)
    return list(at_rate(storm, requests, per_second=PER_SECOND, seconds=seconds))


def _once(storm: Storm, speaking: Iterable[KnownDevice]) -> Iterator[Outcome]:
    """Let each of them come once."""
    return keep_up(storm, (device.without_news(_AUTHORITY, time.time()) for device in speaking), at_once=16)


@contextmanager
def _serving(home: _Home) -> Iterator[list[int]]:
    """Run the parts that devices meet; gives their processes."""
    words = ("server", "run", "--data", str(home.data), "--role", "signer", "--role", "gateway")
    with started([SHIELDWALL, *words], home.data / "server.log") as pid:
        wait_for_port(_GATEWAY_PORT)
        yield gateway_and_signer(pid)


def _worked(home: _Home, pids: list[int]) -> float:
    return processor_seconds(pids) + home.storage.processor_seconds()


def _size_of(scale: _Scale) -> str:
    return f"whole state of {scale.fleet:,} devices"


def _share_of(scale: _Scale) -> str:
    return f"{PER_SECOND} check-ins a second, {scale.fleet:,} devices in the database"
