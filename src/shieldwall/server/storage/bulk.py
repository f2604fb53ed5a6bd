"""Many ids in one statement: a list travels as one parameter, however long it is; and so it comes back.

Ids are not empty and hold no spaces, so a list of them is one text; of other texts an array has to be made.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Connection, String, Text, any_, func, literal, literal_column, select
from sqlalchemy.sql.functions import aggregate_strings
from sqlalchemy.sql.schema import Column

MOST_AT_ONCE: Final = 20_000
"""Rows that one statement writes: none may come near the time that a statement has."""
_TEXTS: Final = ARRAY(Text())
_BETWEEN: Final = " "


@dataclass(frozen=True, slots=True)
class Listed:
    """A list as rows: its texts, and the place of each as eight hexadecimal digits."""

    value: ColumnElement[str]
    place: ColumnElement[str]


def listed(connection: Connection, values: Collection[str], *, start: int = 0) -> Listed:
    """Lay out a list as rows, to be inserted or joined; places are counted from ``start``."""
    if connection.dialect.name == "sqlite":
        rows = func.json_each(literal(json.dumps(list(values)), String())).table_valued("key", "value")
        return Listed(rows.c.value, func.printf("%08x", rows.c.key + start))
    unnested = func.unnest(_array(values)).table_valued("value", with_ordinality="place").render_derived()
    return Listed(unnested.c.value, func.lpad(func.to_hex(unnested.c.place - 1 + start), 8, "0"))


def is_one_of(connection: Connection, column: Column[Any], values: Collection[str]) -> ColumnElement[bool]:
    """Say that a column holds one of these texts."""
    if connection.dialect.name == "sqlite":
        return column.in_(select(listed(connection, values).value))
    return column == any_(_array(values))


def unsought(column: Column[Any]) -> ColumnElement[str]:
    """Return a text column as an expression that no index is taken for, because another condition leaves few rows.

    SQLite has no idea how many rows of a tenant there are, and would rather look at all of them than at those listed.
    """
    return column + literal_column("''")


def together(column: ColumnElement[str]) -> ColumnElement[str]:
    """Bring the ids of all rows of a group back as one text: much cheaper than a row for each."""
    return aggregate_strings(column, _BETWEEN)


def apart(ids: str) -> list[str]:
    """Read what ``together`` brought back."""
    return ids.split(_BETWEEN)


def _array(values: Collection[str]) -> ColumnElement[Any]:
    """Lay out texts as an array; the driver takes far longer to write one by itself."""
    if any(_BETWEEN in value or not value for value in values):
        return literal(list(values), _TEXTS)
    return func.string_to_array(literal(_BETWEEN.join(values), Text()), _BETWEEN, type_=_TEXTS)
