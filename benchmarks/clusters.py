"""A PostgreSQL of its own that keeps what it is told: Debian's programs with their own defaults, on a Unix socket."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.programs import children, processor_seconds, wait_until

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

    def pids(self) -> list[int]:
        """List its processes, as they are now."""
        return [self.postmaster, *children(self.postmaster)]

    def processor_seconds(self) -> float:
        """Add up the work of all its processes, of those that have ended too."""
        return processor_seconds([self.postmaster], with_children=True) + processor_seconds(children(self.postmaster))


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
