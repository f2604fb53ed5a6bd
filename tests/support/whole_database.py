"""Everything that a database holds, so that a test can say: nothing has changed.

Thousands of tests ask, and there are a hundred tables: one statement asks for all of them, each row as a text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from sqlalchemy import Connection, Table

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.schema import metadata

Rows: TypeAlias = dict[str, list[str]]


def everything(database: Database) -> Rows:
    """Read every row of every table."""
    with database.read() as connection:
        return rows_of_all(connection)


def _every_row(_table: Table) -> str:
    return "true"


def rows_of_all(connection: Connection, of: Callable[[Table], str] = _every_row) -> Rows:
    """Read the rows of every table that a condition in SQL names, each as one text, in one order."""
    found: Rows = defaultdict(list)
    for table, row in connection.exec_driver_sql(_question(connection.dialect.name, of)):
        found[table].append(row)
    return {table.name: sorted(found[table.name]) for table in metadata.sorted_tables}


@cache
def _question(engine: str, of: Callable[[Table], str]) -> str:
    asked = (
        f"SELECT '{table.name}', {_as_text(engine, table)} FROM {table.name} WHERE {of(table)}"  # noqa: S608 - our own names
        for table in metadata.sorted_tables
    )
    return " UNION ALL ".join(asked)


def _as_text(engine: str, table: Table) -> str:
    if engine == "postgresql":
        return f"{table.name}::text"
    return "||','||".join(f'quote("{column.name}")' for column in table.c)
