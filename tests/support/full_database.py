"""A row in every table, whatever the schema is: for migrations, which have to leave all of them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Boolean, Column, Connection, Integer, LargeBinary, MetaData
from tests.support.samples import TENANT_ID

_FAR: Final = 7_000
"""A number that no database gives by itself to the few rows that there are."""


def fill(connection: Connection, known: MetaData) -> None:
    """Put a row into every table as a program would that knows no more than this; what names another row names it."""
    made: dict[str, dict[str, Any]] = {}
    for table in known.sorted_tables:
        if table.name == "alembic_version":
            continue
        row: dict[str, Any] = {}
        for column in table.c:
            parent = next((key.column for key in column.foreign_keys), None)
            row[column.name] = _value(column) if parent is None else made[parent.table.name][parent.name]
        connection.execute(table.insert().values(row))
        made[table.name] = row


def _value(column: Column[Any]) -> Any:
    if column.name == "tenant_id" or (column.table.name, column.name) == ("tenants", "id"):
        return TENANT_ID
    match column.type:
        case LargeBinary():
            return b"bytes"
        case Boolean():
            return True
        case Integer():
            return _FAR if column.name == "number" else 7
        case _:
            return ("0" * 64 if _is_digest(column) else column.name)[: getattr(column.type, "length", None) or 64]


def _is_digest(column: Column[Any]) -> bool:
    """Whether a column of 64 characters takes digests alone, as far as its name tells."""
    of_target = (column.table.name, column.name) == ("status_documents", "target")
    return "digest" in column.name or column.name.endswith("_hash") or of_target
