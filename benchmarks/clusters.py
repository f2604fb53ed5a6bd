"""Where a server that is measured keeps its state: a file of SQLite's, or a PostgreSQL of its own.

That PostgreSQL keeps what it is told: Debian's programs with their own defaults, on a Unix socket.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from benchmarks.figures import POSTGRESQL, SQLITE, Engine, Figure
from benchmarks.programs import children, processor_seconds, wait_until

ENGINES: Final[tuple[Engine, ...]] = (SQLITE, POSTGRESQL)
NOT_THERE: Final = "needs PostgreSQL"
"""Why figures are missing where ``storage`` gives none."""

_UNPRIVILEGED: Final = "postgres"
_SETTINGS: Final = {
    "listen_addresses": "''",
    "shared_buffers": "512MB",
    "max_wal_size": "1GB",
}
"""What a small server of its own would be given; all else is as Debian has it, above all that commits are durable."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server that runs: how to reach it, and what it has worked."""

    url: str
    postmaster: int

    def another(self, name: str) -> str:
        """Make one more database, and return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url.replace("/shieldwall?", f"/{name}?")

    def pids(self) -> list[int]:
        """List its processes, as they are now."""
        return [self.postmaster, *children(self.postmaster)]

    def processor_seconds(self) -> float:
        """Add up the work of all its processes, of those that have ended too.

        One that ends meanwhile is counted neither by itself nor with its parent, so all are looked at again.
        """
        while True:
            there = children(self.postmaster)
            with suppress(FileNotFoundError, ProcessLookupError):
                worked = processor_seconds(there) + processor_seconds([self.postmaster], with_children=True)
                if set(there) <= set(children(self.postmaster)):
                    return worked


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a server is to keep its state, and what that works itself: a file works nothing."""

    engine: Engine
    home: Path
    """For the server's data; not made yet."""
    cluster: Cluster | None = None

    @property
    def url(self) -> str | None:
        """The database, where it is not a file of the server's own."""
        return None if self.cluster is None else self.cluster.url

    @property
    def words(self) -> tuple[str, ...]:
        """What ``shieldwall server init`` is told of it."""
        return () if self.url is None else ("--database", self.url)

    def pids(self) -> list[int]:
        """List the database's processes, as they are now."""
        return [] if self.cluster is None else self.cluster.pids()

    def processor_seconds(self) -> float:
        """Add up the database's own work."""
        return 0.0 if self.cluster is None else self.cluster.processor_seconds()


@contextmanager
def storage(home: Path, engine: Engine) -> Iterator[Storage | None]:
    """Prepare the storage of a server on one of the engines below ``home``; ``None`` where it is not installed."""
    own = home / engine.lower()
    if engine != POSTGRESQL:
        yield Storage(engine, own)
    elif programs() is None:
        yield None
    else:
        with cluster(home / "cluster") as running:
            yield Storage(engine, own, running)


def on_each_engine(home: Path, measured: Callable[[Storage], Iterable[Figure]]) -> list[Figure]:
    """Measure the same on SQLite and then on PostgreSQL.

    Without PostgreSQL each of SQLite's figures that has a bar stands there once more, as not measured.
    """
    figures: list[Figure] = []
    for engine in ENGINES:
        with storage(home, engine) as there:
            if there is not None:
                figures += measured(there)
            else:
                held = [each for each in figures if each.bar is not None]
                figures += [
                    Figure.missing(each.what, each.unit, NOT_THERE, engine=engine, bar=each.bar) for each in held
                ]
    return figures


def programs() -> Path | None:
    """Return the directory with the newest PostgreSQL's programs, or ``None``."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def cluster(home: Path) -> Iterator[Cluster]:
    """Run a server over ``home``, which is made when it is missing. Raises: RuntimeError without PostgreSQL."""
    if (where := programs()) is None:
        raise RuntimeError("PostgreSQL is not installed")
    somebody: dict[str, Any] = {}
    is_new = not home.exists()
    home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam(_UNPRIVILEGED)
        somebody = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(home, account.pw_uid, account.pw_gid)
    data = home / "data"
    if is_new:
        words = ["--auth=trust", "--username=shieldwall", "--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run(
            [where / "initdb", "--pgdata", data, *words], check=True, capture_output=True, cwd="/", **somebody
        )
    settings = {**_SETTINGS, "unix_socket_directories": f"'{home}'"}
    chosen = [word for name, value in settings.items() for word in ("-c", f"{name}={value.strip(chr(39))}")]
    with (home / "log").open("ab") as log:
        server = subprocess.Popen(
            [where / "postgres", "-D", data, *chosen], stdout=log, stderr=log, cwd="/", **somebody
        )
    try:
        wait_until(lambda: _answers(home), "PostgreSQL", seconds=300)
        if is_new:
            with psycopg.connect(f"host={home} user=shieldwall dbname=postgres", autocommit=True) as connection:
                connection.execute("CREATE DATABASE shieldwall")
        yield Cluster(f"postgresql://shieldwall@/shieldwall?host={home}", server.pid)
    finally:
        server.send_signal(signal.SIGINT)  # "fast": disconnects clients, writes everything down, ends
        server.wait(timeout=300)


def _answers(home: Path) -> bool:
    try:
        with psycopg.connect(f"host={home} user=shieldwall dbname=postgres") as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
