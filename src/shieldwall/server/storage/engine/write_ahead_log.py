"""SQLite's write-ahead log: how large it is, and starting it anew.

SQLite copies the log into the database by itself, but starts it anew only when it finds nobody reading from it at that
moment. Where somebody always reads, it grows without end. So the one who writes, between two commits, asks for a new
start once it is large: readers that come then read the database, and those that read the log are waited for, shortly.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from shieldwall.server.storage.engine import failed_syncs
from shieldwall.server.storage.engine.database import Database

_log: Final = structlog.get_logger("shieldwall.storage")

LARGE_BYTES: Final = 64 * 1024 * 1024
WAIT_MILLISECONDS: Final = 100
"""For so long those who read from the log hold up whoever writes."""
REST_SECONDS: Final = 2.0
"""And that often at most, while they go on reading."""


class WriteAheadLog:
    """The log of one database. On PostgreSQL there is nothing to do: it looks after its own."""

    def __init__(self, database: Database, large_bytes: int | None = None) -> None:
        name = database.engine.url.database if database.is_sqlite else None
        self._path = None if not name or name == ":memory:" else Path(f"{name}-wal")
        self._database = database
        self._large_bytes = LARGE_BYTES if large_bytes is None else large_bytes
        self._rests_until = 0.0
        self.restarts = 0

    @property
    def size(self) -> int:
        """How many bytes it has."""
        try:
            return self._path.stat().st_size if self._path is not None else 0
        except OSError:  # there is none, or the disk does not say: whoever writes to it hears why
            return 0

    def keep_small(self) -> None:
        """Start it anew if it is large and nobody needs it. Call between two transactions; it never fails."""
        if self._path is None or self.size < self._large_bytes or monotonic() < self._rests_until:
            return
        self._rests_until = monotonic() + REST_SECONDS
        try:
            with closing(sqlite3.connect(self._path.with_name(self._path.name.removesuffix("-wal")))) as connection:
                connection.execute(f"PRAGMA busy_timeout={WAIT_MILLISECONDS}")
                # A connection that has read nothing yet does not know of the log, and would say that all is done.
                connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
                is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            failed_syncs.heed(error)
            _log.warning("log_not_restarted", cause=str(error), bytes=self.size)
            return
        if is_busy:
            _log.warning("log_still_read", bytes=self.size)
        else:
            self.restarts += 1
