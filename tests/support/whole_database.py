"""Everything that a database holds, so that a test can say: nothing has changed."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import select

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.schema import metadata

Rows: TypeAlias = dict[str, list[tuple[Any, ...]]]


def everything(database: Database) -> Rows:
    """Read every row of every table."""
    with database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }
