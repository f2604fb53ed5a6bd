"""How long a question may take that a client made up: an engine that takes longer is stopped.

PostgreSQL has a time limit for every statement (``engine.database``). SQLite has none, but asks now and then whether
to go on.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection

LONGEST_SECONDS: Final = 5.0
_OPERATIONS: Final = 100_000
"""Steps of SQLite's machine after which it asks: about a millisecond."""


@contextmanager
def bounded(connection: Connection, seconds: float = LONGEST_SECONDS) -> Iterator[None]:
    """Let what is read inside take so long at most.

    Raises:
        OperationalError: It took longer; ``Database`` says of it that the database did not answer.
    """
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        yield
        return
    end = time.monotonic() + seconds
    raw.set_progress_handler(lambda: time.monotonic() > end, _OPERATIONS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)
