"""Both engines, one after the other, each with a database of its own: for parts that measure the same thing on both.

    def measure(home, *, quick=False):
        return on_both(home, lambda measured: _measured(measured, 5_000 if quick else FLEET))

Without PostgreSQL each of SQLite's figures that has a bar stands once more in the table, as not measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.clusters import Cluster, cluster, programs
from benchmarks.figures import POSTGRESQL, SQLITE, Engine, Figure
from benchmarks.programs import processor_seconds
from shieldwall.server.storage import migrate
from shieldwall.server.storage.database import Database

_NEEDED: Final = "needs PostgreSQL"


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
    with _on_sqlite(home, sqlite) as embedded:
        figures = list(measured(embedded))
    if programs() is None:
        return [*figures, *_missing(figures)]
    with _on_postgresql(home) as own:
        return [*figures, *measured(own)]


def _missing(figures: Iterable[Figure]) -> Iterator[Figure]:
    for each in figures:
        if each.bar is not None:
            yield Figure.missing(each.what, each.unit, _NEEDED, engine=POSTGRESQL, bar=each.bar)


@contextmanager
def _on_sqlite(home: Path, kept: Path | None) -> Iterator[Measured]:
    own = home / "sqlite"
    own.mkdir()
    file = kept or own / "shieldwall.db"
    is_new = not file.exists()
    with _opened(f"sqlite:///{file}") as database:
        yield Measured(SQLITE, database, is_new, own)


@contextmanager
def _on_postgresql(home: Path) -> Iterator[Measured]:
    own = home / "postgresql"
    own.mkdir()
    with cluster(home / "cluster") as running, _opened(running.url) as database:
        yield Measured(POSTGRESQL, database, True, own, running)


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    migrate.upgrade(database)
    try:
        yield database
    finally:
        database.close()


def _nanoseconds(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended just now
