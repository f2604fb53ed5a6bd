"""What to do when a disk does not confirm what was written: SQLite's log could not be synced.

The kernel may have dropped what it could not write, and says so once: a later sync succeeds although nothing of that is
on disk, and whoever reads sees it nevertheless. So a process of the server that hears of it ends, and nothing that it
would say after that is believed. A full disk is another matter: that shows when something is written, and SQLite undoes
it. PostgreSQL ends by itself when a sync fails, and reads back what is on disk.

Sources: SQLite, *Result and Error Codes* (``SQLITE_IOERR_FSYNC``); fsync(2); PostgreSQL, ``data_sync_retry``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from shieldwall.server.plain_logging import structlog

_log: Final = structlog.get_logger("shieldwall.storage")

STATUS: Final = os.EX_IOERR
"""With this a process ends that heard of it."""
_CODES: Final = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
_SQLITE: Final = "sqlite:///"
_PORTION: Final = 1 << 20
_WAIT_SECONDS: Final = 10.0
_end: Callable[[int], object] | None = None


def end_process_on_failure(end: Callable[[int], object] = os._exit) -> None:
    """Have this process end when it hears of a failed sync: at once, whatever its other threads are about."""
    global _end  # noqa: PLW0603 - there is one process, and it ends once
    _end = end


def heed(error: BaseException | None) -> None:
    """End the process, if it shall and if this error of SQLite says that a sync failed."""
    if _end is None or getattr(error, "sqlite_errorcode", None) not in _CODES:
        return
    _log.critical("sync_failed", cause=str(error))
    _end(STATUS)


@contextmanager
def held_open(url: str) -> Iterator[None]:
    """Keep an SQLite database open while its processes come and go.

    As long as somebody has it open, all know how far its log is on disk; whoever opens it anew goes by what is read.
    And whoever closes it last copies the log, which is not for a process to do that shall be there again soon.
    """
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not Path(path).exists():
        yield
        return
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS)) as connection:
        with suppress(sqlite3.Error):  # whoever needs it says what is wrong with it
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        yield


def write_log_again(url: str) -> None:
    """Write the log of an SQLite database once more as it is read, and sync it; call before somebody goes on with it.

    What was not synced may be read and yet be on no disk. The next process would build upon it, and a power cut would
    take away both. Written again it is on disk, or this fails. Nobody can add to the log meanwhile.

    Raises:
        OSError, sqlite3.Error: The disk does not take it.
    """
    path = Path(url.removeprefix(_SQLITE))
    log = path.with_name(f"{path.name}-wal")
    if not url.startswith(_SQLITE) or not log.exists() or not log.stat().st_size:
        return
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with log.open("r+b", buffering=0) as file:
            while portion := file.read(_PORTION):
                file.seek(-len(portion), os.SEEK_CUR)
                _write(file.fileno(), portion)
            os.fsync(file.fileno())
        connection.execute("ROLLBACK")


def _write(descriptor: int, portion: bytes) -> None:
    left = memoryview(portion)
    while left:
        left = left[os.write(descriptor, left) :]
