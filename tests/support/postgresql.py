"""A PostgreSQL of the test run's own: made in a temporary directory, reached by a Unix socket, ended by its pid."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from tests.support.scratch import scratch

from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database

_UNPRIVILEGED = "postgres"
_PATIENCE_SECONDS = 60.0
_SCHEME = "postgresql://shieldwall@/"


def find_programs() -> Path | None:
    """Return the directory with the newest PostgreSQL's programs, or ``None``."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class PostgresqlServer:
    """One server; each test gets a database of its own in it. It forgets everything on a crash, so it is quick."""

    def __init__(self, programs: Path) -> None:
        self._as_user: dict[str, Any] = {}
        self._directory = Path(tempfile.mkdtemp(prefix="shieldwall-postgresql-", dir=scratch() or "/tmp"))
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam(_UNPRIVILEGED)
            self._as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        self._made = 0
        try:
            self._process = self._start(programs)
            self._await_answer()
        except BaseException:
            self.stop()
            raise

    def create_database(self) -> str:
        """Make an empty database and return its URL."""
        return self._create("template1")

    def create_migrated_database(self) -> str:
        """Make a database in which migrations made every table, and return its URL."""
        return self._create(self._migrated)

    def drop_database(self, url: str) -> None:
        """Forget a database, whoever is still connected to it."""
        self._execute(f"DROP DATABASE {_name_in(url)} WITH (FORCE)")

    @cached_property
    def _migrated(self) -> str:
        """The name of a database that is copied where tables are wanted: it takes a twentieth of the time."""
        url = self.create_database()
        with closing(Database(url)) as database:
            migrate.upgrade(database)
        return _name_in(url)

    def _create(self, template: str) -> str:
        self._made += 1
        name = f"test_{self._made}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"{_SCHEME}{name}?host={self._directory}"

    def stop(self) -> None:
        """End the server and remove its files."""
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # "fast": disconnects clients, then ends
            process.wait(timeout=_PATIENCE_SECONDS)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, programs: Path) -> subprocess.Popen[bytes]:
        data = self._directory / "data"
        options = ["--auth=trust", "--username=shieldwall", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [str(programs / "initdb"), "--pgdata", str(data), *options],
            check=True,
            capture_output=True,
            cwd="/",
            **self._as_user,
        )
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._directory),
            "max_connections": "100",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "logging_collector": "off",
            "max_wal_size": "128MB",  # it may be in memory
            "autovacuum": "off",  # no database lives long enough, and none is to be copied while it is looked after
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("wb") as log:
            return subprocess.Popen(
                [str(programs / "postgres"), "-D", str(data), *words], stdout=log, stderr=log, cwd="/", **self._as_user
            )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._execute("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)  # a server that starts has no event to wait for
            else:
                return

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"host={self._directory} user=shieldwall dbname=postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


def _name_in(url: str) -> str:
    return url.removeprefix(_SCHEME).partition("?")[0]
