"""Rows as the table that a report answers with: filtered, ordered and cut where that is done in memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shieldwall.server.graph.odata import memory
from shieldwall.server.graph.reports.asking import Asked, Checked
from shieldwall.server.graph.reports.columns import LOCALIZED, Column, Type
from shieldwall.server.graph.resources import Json

Row = Json
"""One row by the names of its columns, without words."""


def fitting(rows: Iterable[Row], checked: Checked) -> list[Row]:
    """Return the rows that fit, in the order asked for; of groups one each."""
    found = [row for row in rows if all(memory.holds(condition, row) for condition in checked.conditions)]
    found = memory.in_order(found, checked.order)
    return grouped(found, checked.columns) if checked.is_grouped else found


def grouped(rows: Iterable[Row], columns: Sequence[Column]) -> list[Row]:
    """Return one row for each combination of values in these columns."""
    return list({tuple(row[column.name] for column in columns): row for row in rows}.values())


def table(rows: Iterable[Row], total: int, asked: Asked, checked: Checked) -> Json:
    """Write the answer; values stand in the order of the schema, and beside a number its word."""
    return {
        "TotalRowCount": total,
        "Schema": schema(checked.columns),
        "Values": [values(row, checked.columns) for row in rows],
        "SessionId": asked.session_id,
    }


def schema(columns: Iterable[Column]) -> list[Json]:
    """Name the columns and their types."""
    named: list[Json] = []
    for column in columns:
        named.append({"Column": column.name, "PropertyType": column.type.value})
        if column.is_pair:
            named.append({"Column": column.name + LOCALIZED, "PropertyType": Type.TEXT.value})
    return named


def values(row: Row, columns: Iterable[Column]) -> list[Any]:
    """Return the values of a row in the order of ``schema``."""
    found: list[Any] = []
    for column in columns:
        value = row[column.name]
        found.append(value)
        if column.is_pair:
            found.append(column.word_of(value))
    return found
