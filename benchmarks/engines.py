"""Databases of both engines, one after the other, for parts that measure on both what a server asks of its database.

def measure(home, *, quick=False):
    return on_both(home, lambda measured: _measured(measured, 5_000 if quick else FLEET))
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.clusters import Cluster, Storage, on_each_engine
from benchmarks.figures import Engine, Figure
from benchmarks.programs import processor_seconds
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database


@dataclass(frozen=True, slots=True)
class Measured:
    """A database that has its tables, and the server that holds it, where it is one of its own."""

    engine: Engine
    database: Database
    is_new: bool
    """Whether it has nothing but its tables; otherwise it is one that was kept."""
    home: Path
    """A directory that is there for this engine alone."""
    cluster: Cluster | None = None

    def cost(self, work: Callable[[], object]) -> float:
        """Return the processor time of a piece of work in seconds: all threads of this process, and all of PostgreSQL.

        Work of PostgreSQL's own, as of its housekeeping, that falls into that time is in it.
        """
        theirs, ours = self._database_seconds(), time.process_time()
        work()
        ours = time.process_time() - ours
        return ours + self._database_seconds() - theirs

    def median_cost(self, times: int, work: Callable[[], object]) -> float:
        """Return the median of so many costs, in seconds."""
        return statistics.median(self.cost(work) for _ in range(times))

    def settle(self) -> None:
        """Let PostgreSQL know what it holds, as its own housekeeping does within minutes; SQLite has none."""
        if self.cluster is not None:
            with psycopg.connect(self.cluster.url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")

    def _database_seconds(self) -> float:
        """Add up what PostgreSQL worked, finer than in ticks: its processes have one thread each (``schedstat``)."""
        if self.cluster is None:
            return 0.0
        postmaster = self.cluster.postmaster
        ended = processor_seconds([postmaster], with_children=True) - processor_seconds([postmaster])
        return ended + sum(_nanoseconds(pid) for pid in self.cluster.pids()) / 1e9


def on_both(
    home: Path, measured: Callable[[Measured], Iterable[Figure]], *, sqlite: Path | None = None
) -> list[Figure]:
    """Measure on SQLite, then on PostgreSQL where it is installed. ``sqlite`` is a file that may be there already."""

    def over(storage: Storage) -> list[Figure]:
        with _opened(storage, sqlite) as each:
            return list(measured(each))

    return on_each_engine(home, over)


@contextmanager
def _opened(storage: Storage, kept: Path | None) -> Iterator[Measured]:
    storage.home.mkdir()
    file = kept or storage.home / "shieldwall.db"
    is_new = storage.url is not None or not file.exists()
    database = Database(storage.url or f"sqlite:///{file}")
    migrate.upgrade(database)
    try:
        yield Measured(storage.engine, database, is_new, storage.home, storage.cluster)
    finally:
        database.close()


def _nanoseconds(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended just now
