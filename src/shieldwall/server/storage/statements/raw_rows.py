"""Rows as the driver itself hands them over, for reads of a million rows: no object is made of each of them.

Values come as the driver has them: moments are numbers, and SQLite's truth values too. What orders and compares alike
is enough for whoever reads so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select


def raw_rows(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return all rows of a query in the transaction of a connection; no list may be among its values."""
    compiled = query.compile(dialect=connection.dialect)
    bound = compiled.construct_params(dict(values))
    cursor = connection.connection.cursor()
    try:
        if compiled.positional:
            cursor.execute(str(compiled), tuple(bound[name] for name in compiled.positiontup or ()))
        else:
            cursor.execute(str(compiled), bound)
        return list(cursor.fetchall())
    finally:
        cursor.close()
