"""A SQLite database to which every migration was applied: once for a test run, and copied from then on."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.scratch import scratch

from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database


def migrated_sqlite(path: Path) -> str:
    """Make one in a file that is not there yet, and return its URL."""
    path.write_bytes(_migrated_file())
    return f"sqlite:///{path}"


@cache
def _migrated_file() -> bytes:
    with TemporaryDirectory(dir=scratch()) as folder:
        path = Path(folder) / "migrated.db"
        with closing(Database.at(path)) as database:
            migrate.upgrade(database)
        return path.read_bytes()
