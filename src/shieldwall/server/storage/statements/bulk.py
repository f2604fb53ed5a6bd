"""Many ids in one statement: a list travels as one parameter, however long it is; and so it comes back.

Ids are not empty and hold no spaces, so a list of them is one text; of other texts an array has to be made.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Select,
    String,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement, aggregate_strings
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.sql.schema import Column

from shieldwall.server.storage.tables.digests import DIGEST
from shieldwall.server.storage.tables.tenant_numbers import TENANT

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
    """Say that a column holds one of these texts; digests are parameters each, so there may not be many thousands."""
    if column.type is DIGEST:
        return column.in_(list(values))
    if connection.dialect.name == "sqlite":
        return column.in_(select(listed(connection, values).value))
    return column == any_(_array(values))


def is_numbered(connection: Connection, column: Column[int], numbers: Collection[int]) -> ColumnElement[bool]:
    """Say that a column holds one of these numbers."""
    if connection.dialect.name == "sqlite":
        rows = func.json_each(literal(json.dumps(list(numbers)), String())).table_valued("value")
        return column.in_(select(rows.c.value))
    array = func.string_to_array(literal(_BETWEEN.join(map(str, numbers)), Text()), _BETWEEN, type_=_TEXTS)
    return column == any_(cast(array, ARRAY(Integer())))


def is_named(column: Column[Any], name: str = "ids") -> ColumnElement[bool]:
    """Say that a column holds one of the ids that the statement is given under a name when it is carried out.

    As ``is_one_of``, for statements that are asked so often that it counts to put them together once for all.
    """
    return _IsNamed(column, bindparam(name, type_=_Ids()))


class _Ids(TypeDecorator[Collection[str]]):
    """Ids as the one text that ``is_named`` takes apart."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return json.dumps(list(value)) if dialect.name == "sqlite" else _BETWEEN.join(value)


class _IsNamed(FunctionElement[bool]):
    """A column and the text of ids among which it is looked for."""

    name = "is_named"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:
        """Stay a comparison: of what a function says SQLite would be asked whether it is 1, and would use no index."""
        del against
        return self


@compiles(_IsNamed, "sqlite")
def _in_json(element: _IsNamed, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - a column and a placeholder


@compiles(_IsNamed, "postgresql")
def _in_array(element: _IsNamed, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY (string_to_array({ids}, '{_BETWEEN}'))"


def unsought(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a column as one that no index is taken for, because another condition leaves few rows.

    It is one of texts, numbers, tenants or digests. SQLite has no idea how many rows of a tenant there are, and would
    rather look at all of them than at those listed.
    """
    if column.type is DIGEST:
        return func.coalesce(column, column)
    is_number = column.type is TENANT or isinstance(column.type, Integer)
    nothing: ColumnElement[Any] = literal_column("0" if is_number else "''")
    return column + nothing


def together(column: ColumnElement[str]) -> ColumnElement[str]:
    """Bring the ids of all rows of a group back as one text: much cheaper than a row for each."""
    return aggregate_strings(column, _BETWEEN)


def apart(ids: str) -> list[str]:
    """Read what ``together`` brought back."""
    return ids.split(_BETWEEN)


def where_few(connection: Connection, query: Select[Any], most: int) -> list[str] | None:
    """Return the ids that a query selects, in no order; ``None`` where these are more than ``most``.

    They come as one text: where they are too many, which is the rule, nobody takes a row for each to learn that.
    """
    found = query.limit(most + 1).subquery()
    told = select(func.count(), together(next(iter(found.c)))).select_from(found)
    ((count, ids),) = connection.execute(told)
    return None if count > most else apart(ids) if ids else []


def _array(values: Collection[str]) -> ColumnElement[Any]:
    """Lay out texts as an array; the driver takes far longer to write one by itself."""
    if any(_BETWEEN in value or not value for value in values):
        return literal(list(values), _TEXTS)
    return func.string_to_array(literal(_BETWEEN.join(values), Text()), _BETWEEN, type_=_TEXTS)
