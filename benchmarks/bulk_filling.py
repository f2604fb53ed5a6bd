"""Filling tables with millions of rows in minutes, on either engine: without indexes and triggers, which come after.

What is written this way may be lost until it is all there: it is made again. Rows go in as the driver takes them, so
moments are milliseconds, digests bytes, tenants numbers, and truth values what each engine keeps.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Protocol

import psycopg
from psycopg import sql
from sqlalchemy import Table

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.columns import Moment
from shieldwall.server.storage.tables.digests import DIGEST, to_bytes
from shieldwall.server.storage.tables.tenant_numbers import TENANT

Row = Mapping[str, Any]
_TENANTS: Final = "SELECT id, number FROM tenants"


class Filling(Protocol):
    """Tables that take many rows."""

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows that all name the same columns in the same order; other columns get what tables give them."""


@contextmanager
def filling(database: Database) -> Iterator[Filling]:
    """Open the database for a great many rows. Nobody else may use it meanwhile.

    On PostgreSQL the role has to be a superuser's: foreign keys and triggers rest, which only such a one may ask for.
    """
    pooled = database.engine.raw_connection()
    try:
        driver = pooled.driver_connection
        if isinstance(driver, sqlite3.Connection):
            with _sqlite(driver) as writer:
                yield writer
        else:
            assert isinstance(driver, psycopg.Connection)
            with _postgresql(driver) as writer:
                yield writer
    finally:
        pooled.invalidate()  # its settings are none that a pool may hand on
        pooled.close()


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tenants = dict(connection.execute(_TENANTS).fetchall())

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        names = [table.columns[key].name for key in rows[0]]
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names of our own
        self._connection.executemany(statement, _values(table, rows, self._tenants))


class _Postgresql:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._tenants = dict(connection.execute(_TENANTS).fetchall())
        self.numbered: set[str] = set()
        """Tables whose rows brought their own numbers: what PostgreSQL gives next, it keeps apart."""

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        if table.autoincrement_column is not None and table.autoincrement_column.name in rows[0]:
            self.numbered.add(table.name)
        columns = sql.SQL(", ").join(sql.Identifier(table.columns[key].name) for key in rows[0])
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for values in _values(table, rows, self._tenants):
                copy.write_row(values)


def _values(table: Table, rows: Iterable[Row], tenants: Mapping[str, int]) -> Iterator[list[Any]]:
    listed = iter(rows)
    first = next(listed)
    moments = [place for place, name in enumerate(first) if isinstance(table.columns[name].type, Moment)]
    digests = [place for place, name in enumerate(first) if table.columns[name].type is DIGEST]
    numbered = [place for place, name in enumerate(first) if table.columns[name].type is TENANT]
    for row in (first, *listed):
        values = list(row.values())
        for place in numbered:
            values[place] = tenants[values[place]]
        for place in digests:
            values[place] = None if values[place] is None else to_bytes(values[place])
        for place in moments:
            if values[place] is not None:
                values[place] = milliseconds(values[place])
        yield values


def milliseconds(moment: datetime) -> int:
    """Write a moment as the tables keep it."""
    return int(moment.timestamp() * 1000)


@contextmanager
def _sqlite(connection: sqlite3.Connection) -> Iterator[Filling]:
    def found(kind: str) -> list[tuple[str, str]]:
        query = "SELECT name, sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL"
        return list(connection.execute(query, (kind,)))

    for pragma in ("foreign_keys=OFF", "journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000", "temp_store=2"):
        connection.execute(f"PRAGMA {pragma}")
    triggers, indexes = found("trigger"), found("index")
    for kind, listed in (("TRIGGER", triggers), ("INDEX", indexes)):
        for name, _ in listed:
            connection.execute(f"DROP {kind} {name}")
    connection.execute("BEGIN")
    yield _Sqlite(connection)
    connection.execute("COMMIT")
    for _, statement in (*indexes, *triggers):
        connection.execute(statement)
    connection.execute("ANALYZE")
    connection.execute("PRAGMA journal_mode=WAL")


@contextmanager
def _postgresql(connection: psycopg.Connection[Any]) -> Iterator[Filling]:
    connection.rollback()
    connection.autocommit = True
    settings = {
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "session_replication_role": "replica",
        "synchronous_commit": "off",
        "maintenance_work_mem": "512MB",
    }
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    query = """
        SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()
        AND indexname NOT IN (SELECT conname FROM pg_constraint)
    """
    indexes = connection.execute(query).fetchall()
    for name, _ in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    writer = _Postgresql(connection)
    with connection.transaction():
        yield writer
    for table in sorted(writer.numbered):
        highest = sql.SQL("SELECT setval(pg_get_serial_sequence(%s, 'number'), max(number)) FROM {}")
        connection.execute(highest.format(sql.Identifier(table)), (table,))
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("VACUUM ANALYZE")
