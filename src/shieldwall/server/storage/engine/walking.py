"""Going through many rows a portion at a time: looking takes no lock, and only where there is something is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from sqlalchemy import Connection

from shieldwall.server.storage.engine.database import Database

Found = TypeVar("Found")

AT_ONCE: Final = 2_000
"""Rows that one transaction looks at: neither readers nor the writer are held up for long."""


def write_where_found(
    database: Database,
    look: Callable[[Connection, str], tuple[Sequence[Found], str | None]],
    write: Callable[[Connection, Sequence[Found]], int],
) -> int:
    """Look through everything, writing what there is to write after each portion; return how many rows were written.

    ``look`` is told after which id to go on, ``""`` at first, and returns what it found there and the last id it saw,
    ``None`` at the end. ``write`` comes later, and leaves alone what has changed meanwhile.

    Raises:
        StorageUnavailableError: The database cannot take it; what was written before stays.
    """
    written = 0
    after: str | None = ""
    while after is not None:
        with database.read() as connection:
            found, after = look(connection, after)
        if found:
            with database.write() as connection:
                written += write(connection, found)
    return written
