"""Many ids in one statement: a list travels as one parameter, however long it is."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Connection, String, Text, any_, func, literal, select
from sqlalchemy.sql.schema import Column

_TEXTS: Final = ARRAY(Text())


@dataclass(frozen=True, slots=True)
class Listed:
    """A list as rows: its texts, and the place of each as eight hexadecimal digits."""

    value: ColumnElement[str]
    place: ColumnElement[str]


def listed(connection: Connection, values: Collection[str]) -> Listed:
    """Lay out a list as rows, to be inserted or joined."""
    if connection.dialect.name == "sqlite":
        rows = func.json_each(literal(json.dumps(list(values)), String())).table_valued("key", "value")
        return Listed(rows.c.value, func.printf("%08x", rows.c.key))
    unnested = (
        func.unnest(literal(list(values), _TEXTS)).table_valued("value", with_ordinality="place").render_derived()
    )
    return Listed(unnested.c.value, func.lpad(func.to_hex(unnested.c.place), 8, "0"))


def is_one_of(connection: Connection, column: Column[Any], values: Collection[str]) -> ColumnElement[bool]:
    """Say that a column holds one of these texts."""
    if connection.dialect.name == "sqlite":
        return column.in_(select(listed(connection, values).value))
    return column == any_(literal(list(values), _TEXTS))
