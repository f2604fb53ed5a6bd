"""Copying a database that is in use, and loading the copy where nothing is: the edge to both engines' own means.

SQLite's copy is of one moment: an open read transaction keeps the view while pages are copied, and writers go on.
PostgreSQL's is what ``pg_dump`` makes, of one moment as well.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess  # noqa: TID251 - the edge: PostgreSQL's own programs make and load its copies
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from shieldwall.server.backup.archive import Progress
from shieldwall.server.backup.errors import BadBackupError, DatabaseToolError, RestoreTargetError
from shieldwall.server.storage.engine.database import StorageUnavailableError
from shieldwall.server.storage.engine.postgresql import parse

_PAGES: Final = 4_096
"""Copied at a time: 16 MiB. In between others have their turn at the disk, and progress is told."""


def copy_sqlite(source: Path, target: Path, what: str, progress: Progress) -> None:
    """Copy a SQLite database as it is at this moment, whoever writes meanwhile.

    Raises:
        StorageUnavailableError: It cannot be read, or there is no room for the copy.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, timeout=10)) as origin,
            closing(sqlite3.connect(target)) as copy,
        ):
            origin.isolation_level = None
            origin.execute("BEGIN")
            origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the view is of this moment from here on
            origin.backup(
                copy, pages=_PAGES, progress=lambda _, left, total: progress(what, total - left, total), sleep=0
            )
    except sqlite3.Error as error:
        raise StorageUnavailableError(f"The database {source} cannot be copied: {error}.") from error


def check_sqlite(path: Path) -> None:
    """Refuse a copy that is not sound. Raises: BadBackupError."""
    try:
        with closing(sqlite3.connect(path)) as database:
            (told,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        told = str(error)
    if told != "ok":
        raise BadBackupError(f"The database in the backup is damaged: {told}.")


def dump_postgresql(url: str, target: Path) -> None:
    """Write a copy of a PostgreSQL database as it is at this moment. Raises: DatabaseToolError."""
    parsed = parse(url)
    _run(
        "pg_dump",
        ["--format=custom", "--no-owner", f"--file={target}", f"--dbname={_without_password(parsed)}"],
        parsed,
    )


def load_postgresql(url: str, source: Path) -> None:
    """Load a copy into an empty database, all of it or nothing. Raises: DatabaseToolError, RestoreTargetError."""
    parsed = parse(url)
    name = f"--dbname={_without_password(parsed)}"
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    if _run("psql", ["--no-psqlrc", "--tuples-only", "--no-align", f"--command={count}", name], parsed).strip() != "0":
        raise RestoreTargetError(f"The database {parsed.database} is not empty.")
    _run("pg_restore", ["--single-transaction", "--exit-on-error", "--no-owner", name, str(source)], parsed)


def _run(program: str, arguments: Sequence[str], url: URL) -> str:
    found = shutil.which(program)
    if found is None:
        raise DatabaseToolError(f"The program {program} is not installed.")
    # The password goes by the environment: a command line can be read by everybody on this machine.
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    done = subprocess.run([found, *arguments], env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - fixed programs, no shell
    if done.returncode != 0:
        raise DatabaseToolError(f"{program} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def _without_password(url: URL) -> str:
    """Write the URL as PostgreSQL's own programs read it: several hosts stand where one does."""
    plain = url.set(drivername="postgresql")._replace(password=None)  # `set` takes None for "as it was"
    hosts = plain.query.get("host")
    if not isinstance(hosts, tuple):
        return plain.render_as_string(hide_password=False)
    start, _, rest = plain.difference_update_query(["host"]).render_as_string(hide_password=False).partition("/" * 2)
    user, _, rest = rest.rpartition("@")
    return f"{start}//{user}{'@' if user else ''}{','.join(hosts)}{rest}"
