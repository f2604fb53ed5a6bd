"""Opening a database: SQLite (the embedded default) or PostgreSQL, by its URL.

SQLite runs in WAL mode with ``synchronous=FULL``: a commit that returned survives a power cut. A write transaction
starts with ``BEGIN IMMEDIATE``, so that a reader never has to be upgraded and fail half way.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeoutError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.storage.engine import failed_syncs, outbox, postgresql
from shieldwall.server.storage.tables.folding import FUNCTION, fold_or_none

_BUSY_MILLISECONDS: Final = 10_000
REFUSED_SECONDS: Final = 12.0
"""So long a database is taken to refuse writes after it refused one, unless it takes another. A little longer than a
write waits for a lock: one that is refused after the other was refused all the time."""
_CACHE_KIBIBYTES: Final = 32 * 1024
"""What a connection to SQLite keeps of the database. Its own default, 2 MiB, does not hold the upper pages of the
indexes of a million devices, so that every look-up would read them anew."""
_STATEMENT_ERRORS: Final = (
    *(DataError, IntegrityError, NotSupportedError, ProgrammingError),
    *(sqlite3.DataError, sqlite3.IntegrityError, sqlite3.NotSupportedError, sqlite3.ProgrammingError),
)
"""What is wrong with a statement or its values, and says nothing about the database's health."""
_NOT_THERE: Final = frozenset({"42P01", "42703"})
"""SQLSTATE undefined_table and undefined_column; SQLite has words for them alone."""
_NOT_THERE_IN_WORDS: Final = ("no such table", "no such column")


class StorageUnavailableError(ShieldwallError):
    """The database cannot serve now: full, read-only or damaged, lost connection, lock not freed, too many readers."""

    code = "storageUnavailable"
    remedy = "Free disk space or bring the database back; nothing that was acknowledged is lost. Then try again."


class Database:
    """One database. Hand it to whoever may read or write; a connection lives as long as its transaction."""

    def __init__(self, url: str) -> None:
        parsed = postgresql.parse(url)
        self.is_sqlite: Final = parsed.get_backend_name() == "sqlite"
        self._engine: Final[Engine] = _sqlite(url) if self.is_sqlite else postgresql.open_engine(parsed)
        self._writing: Final[Engine] = _beginning(self._engine.execution_options(), self._begin_writing)
        outbox.follow_savepoints(self._writing)
        self._refused_at: float | None = None

    @classmethod
    def at(cls, path: Path) -> Database:
        """Open the SQLite database in the file ``path``, which is made when it is missing."""
        return cls(f"sqlite:///{path}")

    @property
    def engine(self) -> Engine:
        """What begins and ends transactions that write, for who does that by hand."""
        return self._writing

    @property
    def followed(self) -> Engine:
        """What all statements go through, for who listens to them; of its own it begins no transaction."""
        return self._engine

    @property
    def refuses_writes(self) -> bool:
        """Say whether what was written last found no room, no lock or nobody to take it: it is asked by doing alone."""
        refused_at = self._refused_at
        return refused_at is not None and time.monotonic() - refused_at < REFUSED_SECONDS

    def refused(self) -> None:
        """Note that something could not be written, though the transaction around it came to its end."""
        self._refused_at = time.monotonic()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read transaction: one consistent view. Raises: StorageUnavailableError."""
        with translated(), self._engine.connect() as connection:
            self._begin(connection, "BEGIN", postgresql.READING)
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Open what one statement is read in: that sees one view by itself, and is spared a transaction around it.

        Raises:
            StorageUnavailableError: The database does not answer.
        """
        with translated(), self._engine.connect() as connection:
            self._begin(connection, "BEGIN", postgresql.GLANCING)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a write transaction: durable when the block ends, undone when it raises.

        Raises:
            StorageUnavailableError: The database cannot take it.
        """
        try:
            with translated(), self._writing.begin() as connection:
                outbox.begin(connection)
                yield connection
                outbox.flush(connection)  # last, because it takes the lock that puts commits in order
        except StorageUnavailableError:
            self.refused()
            raise
        self._refused_at = None

    @contextmanager
    def rebuild(self) -> Iterator[Connection]:
        """Open a write transaction for migrations: on SQLite foreign keys rest in it, so tables can be made anew.

        At its end they are looked at once for all rows: nothing is committed that names what is not there.

        Raises:
            StorageUnavailableError: The database cannot take it, or a row would name what is not there.
        """
        if not self.is_sqlite:
            with self.write() as connection:
                yield connection
            return
        with translated(), self._writing.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("PRAGMA foreign_keys=OFF")  # within a transaction it would do nothing
            try:
                with connection.begin():
                    yield connection
                    if (astray := raw.execute("PRAGMA foreign_key_check").fetchone()) is not None:
                        raise StorageUnavailableError(
                            f"A row of {astray[0]} names one of {astray[2]} that is not there; nothing was changed.",
                            remedy="Restore the backup made before the upgrade and report what this says.",
                        )
            finally:
                raw.execute("PRAGMA foreign_keys=ON")

    def close(self) -> None:
        """Let go of every pooled connection."""
        self._engine.dispose()

    def _begin_writing(self, connection: Connection) -> None:
        self._begin(connection, "BEGIN IMMEDIATE", postgresql.WRITING)

    def _begin(self, connection: Connection, of_sqlite: str, of_postgresql: str) -> None:
        if not self.is_sqlite:
            postgresql.begin(connection, of_postgresql)
            return
        raw: Any = connection.connection.driver_connection  # asked by way of SQLAlchemy it would cost ten times as much
        raw.execute(of_sqlite)


def insert_ignoring(connection: Connection, table: Table) -> Insert:
    """Build an insert that leaves a row alone whose primary key is there already: for content-addressed rows."""
    return _ignoring(table, connection.dialect.name)


@cache
def _ignoring(table: Table, dialect: str) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql_dialect.insert(table).on_conflict_do_nothing()


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words that the database cannot serve. Raises: StorageUnavailableError."""
    try:
        yield
    except (DatabaseError, InterfaceError, sqlite3.DatabaseError) as error:  # the last of what was asked of the driver
        said = getattr(error, "orig", None) or error
        if _names_what_is_not_there(said):
            raise StorageUnavailableError(
                f"The database has another schema than this program: {str(said).splitlines()[0]}.",
                remedy="Run the program of the release that the database was brought to. Then try again.",
            ) from error
        if isinstance(error, _STATEMENT_ERRORS):
            raise
        failed_syncs.heed(said)
        raise StorageUnavailableError(f"The database did not answer: {' '.join(str(said).split())}.") from error
    except PoolTimeoutError as error:
        raise StorageUnavailableError("All connections to the database are in use.") from error


def _names_what_is_not_there(said: BaseException) -> bool:
    """Say whether a statement named a table or column that the database has not, or no longer: a newer program has."""
    return getattr(said, "sqlstate", None) in _NOT_THERE or str(said).startswith(_NOT_THERE_IN_WORDS)


def _sqlite(url: str) -> Engine:
    connecting = {"check_same_thread": False, "timeout": _BUSY_MILLISECONDS / 1000}
    # Last in, first out: the connection with the warmest cache goes next, and those that are not needed stay small.
    # What is stored is nobody's to read in a log: packages and policies hold secrets, and every failure is logged.
    engine = create_engine(url, connect_args=connecting, pool_use_lifo=True, hide_parameters=True)
    pragmas = (
        *("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"),
        *(f"busy_timeout={_BUSY_MILLISECONDS}", f"cache_size=-{_CACHE_KIBIBYTES}"),
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        raw.isolation_level = None  # transactions are ours to begin, see `Database._begin`
        for pragma in pragmas:
            raw.execute(f"PRAGMA {pragma}")
        raw.create_function(FUNCTION, 1, fold_or_none, deterministic=True)

    return engine


def _beginning(engine: Engine, begin: Callable[[Connection], None]) -> Engine:
    """Have transactions of an engine begun so. What only reads is begun by hand: to listen costs at every step.

    SQLAlchemy asks at a dozen places of each statement who listens, as soon as somebody listens to its engine at all.
    """
    event.listen(engine, "begin", begin)
    return engine
