"""Databases that are made once for a test run and lent to one test after another, each of which finds them as made.

Making all tables costs more than most tests do, on PostgreSQL half a second; a database that stays also keeps its
connections, and the statements that it has compiled. Every table and Fabrikam are there when a test begins. At the end
Fabrikam must be what it was: whoever changed it fails, and the next test gets a new database.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.postgresql import PostgresqlServer
from tests.support.scratch import scratch
from tests.support.second_tenant import add_fabrikam, is_fabrikams
from tests.support.whole_database import Rows, rows_of_all

from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.tables.schema import metadata


class LentDatabase(ABC):
    """One database of one engine, for one test at a time."""

    def __init__(self) -> None:
        self._database: Database | None = None
        self._fabrikam: Rows = {}

    @contextmanager
    def lent(self) -> Iterator[Database]:
        """Lend it to a test."""
        database = self._as_made()
        self._database = None  # until it has come back whole
        yield database
        with database.read() as connection:
            after = rows_of_all(connection, is_fabrikams)
        if after != self._fabrikam:
            self._forget(database)
        assert after == self._fabrikam, "another tenant's rows were changed"
        self._database = database

    def close(self) -> None:
        """Let go of it at the end of the run."""
        if self._database is not None:
            self._forget(self._database)

    def _as_made(self) -> Database:
        if self._database is not None:
            with suppress(StorageUnavailableError):  # where a test before holds on to it
                self._restore(self._database)
                return self._database
            self._forget(self._database)
        made = self._make()
        with made.read() as connection:
            self._fabrikam = rows_of_all(connection, is_fabrikams)
        assert all(self._fabrikam.values()), "Fabrikam has a row in every table"
        return made

    @abstractmethod
    def _make(self) -> Database:
        """Make a database that is furnished."""

    @abstractmethod
    def _restore(self, database: Database) -> None:
        """Bring it back to what it was when it was made."""

    @abstractmethod
    def _forget(self, database: Database) -> None:
        """Let go of a database."""


class LentSqlite(LentDatabase):
    """A file, which is copied anew for each test."""

    def __init__(self) -> None:
        super().__init__()
        self._folder: Final = TemporaryDirectory(prefix="shieldwall-", dir=scratch())

    def close(self) -> None:
        """Remove the files too."""
        super().close()
        self._folder.cleanup()

    def _make(self) -> Database:
        self._file("made").unlink(missing_ok=True)
        template = Database.at(self._file("made"))
        furnish(template)
        template.close()
        database = Database.at(self._file("lent"))
        self._restore(database)
        return database

    def _restore(self, database: Database) -> None:
        database.close()
        for suffix in ("", "-wal", "-shm"):  # removed, not written over: somebody may still have them open
            Path(f"{self._file('lent')}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self._file("made"), self._file("lent"))

    def _forget(self, database: Database) -> None:
        database.close()

    def _file(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.db"


class LentPostgresql(LentDatabase):
    """A database of the test run's own server, in which a test's rows are deleted after it."""

    def __init__(self, server: PostgresqlServer) -> None:
        super().__init__()
        self._server: Final = server
        self._url = ""

    def _make(self) -> Database:
        self._url = self._server.create_database()
        database = Database(self._url)
        furnish(database)
        return database

    def _restore(self, database: Database) -> None:
        with database.write() as connection:
            # No trigger and no foreign key looks at what is deleted here.
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql(_EVERYTHING_ELSE)

    def _forget(self, database: Database) -> None:
        database.close()
        self._server.drop_database(self._url)


def furnish(database: Database) -> None:
    """Make every table in an empty database, and Fabrikam."""
    with database.write() as connection:
        metadata.create_all(connection)
        add_fabrikam(connection)


_EVERYTHING_ELSE: Final = ";".join(
    f"DELETE FROM {table.name} WHERE NOT ({is_fabrikams(table)})"  # noqa: S608 - our own names
    for table in reversed(metadata.sorted_tables)  # whose a membership is says its group
)
"""Deletes all rows but Fabrikam's."""
