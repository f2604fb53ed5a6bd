"""Statements that nearly every request asks, put together once and handed to the driver as they are.

SQLAlchemy takes a hundred steps around each statement: for events, caches, cursors of every kind. Where a row is looked
up by its key they cost several times what the look-up does, and in a request that comes alone most of them are cold. So
a look-up keeps its text, and what makes of values what the driver wants and of columns what they are. Text, types and
transaction are SQLAlchemy's all the same, and errors come as they come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.exc import DBAPIError

Row: TypeAlias = tuple[Any, ...]
_Process: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as one driver takes it."""

    statement: str
    order: tuple[str, ...] | None
    """The names of its values by their places; ``None``: the driver knows them by name."""
    constants: Mapping[str, Any]
    """Values that nobody gives, as they are sent."""
    given: Mapping[str, _Process]
    """What the others become before they are sent, where that is something else."""
    found: tuple[tuple[int, _Process], ...]
    """What columns become, by their places."""


class LookUp:
    """A statement that reads, with values by name and none that is a list."""

    def __init__(self, query: Select[*tuple[Any, ...]]) -> None:
        self.query: Final = query
        """What is asked, for who asks something narrower now and then."""
        self._prepared: Final[dict[str, _Prepared]] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """Return the rows in the transaction of a connection. Raises: DBAPIError."""
        if connection.engine.dispatch.before_cursor_execute:  # somebody follows what is asked, as traces do
            return [tuple(row) for row in connection.execute(self.query, values)]
        dialect = connection.dialect
        prepared = self._prepared.get(dialect.name)
        if prepared is None:
            prepared = self._prepared[dialect.name] = _prepare(self.query, dialect)
        if not connection.in_transaction():
            connection.begin()
        return _asked(connection, prepared, {**prepared.constants, **values})

    def row(self, connection: Connection, values: Mapping[str, Any]) -> Row | None:
        """Return the row that a key names, or ``None``. Raises: DBAPIError."""
        rows = self.rows(connection, values)
        assert len(rows) <= 1, "a key names one row"
        return rows[0] if rows else None


def _asked(connection: Connection, prepared: _Prepared, values: dict[str, Any]) -> list[Row]:
    for name, process in prepared.given.items():
        values[name] = process(values[name])
    named = values if prepared.order is None else tuple(values[name] for name in prepared.order)
    raw: Any = connection.connection.driver_connection
    driver: Any = connection.dialect.loaded_dbapi
    try:
        rows: list[Row] = raw.execute(prepared.statement, named).fetchall()
    except driver.Error as error:
        is_over = connection.dialect.is_disconnect(error, raw, None)
        if is_over:
            connection.invalidate(error)
        raise DBAPIError.instance(
            prepared.statement, None, error, driver.Error, connection_invalidated=is_over, dialect=connection.dialect
        ) from error
    return [_row(row, prepared.found) for row in rows] if prepared.found else rows


def _row(raw: Row, processes: tuple[tuple[int, _Process], ...]) -> Row:
    row = list(raw)
    for place, process in processes:
        row[place] = process(row[place])
    return tuple(row)


def _prepare(query: Select[*tuple[Any, ...]], dialect: Dialect) -> _Prepared:
    compiled: Any = query.compile(dialect=dialect)
    bound = {name: each for each, name in compiled.bind_names.items()}
    given = {
        name: process
        for name, each in bound.items()
        if (process := each.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    }
    constants = {
        name: given[name](each.value) if name in given else each.value
        for name, each in bound.items()
        if not each.required
    }
    found = tuple(
        (place, process)
        for place, column in enumerate(query.selected_columns)
        if (process := column.type.dialect_impl(dialect).result_processor(dialect, None)) is not None
    )
    order = tuple(compiled.positiontup) if compiled.positional else None
    becoming = {name: process for name, process in given.items() if name not in constants}
    return _Prepared(str(compiled), order, constants, becoming, found)
