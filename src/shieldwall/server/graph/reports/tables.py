"""Rows as the table that a report answers with: filtered, ordered and cut where that is done in memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from operator import itemgetter
from typing import Any

from shieldwall.server.graph.odata import memory
from shieldwall.server.graph.odata.checked import Both, Condition
from shieldwall.server.graph.reports.asking import Asked, Checked, names_read
from shieldwall.server.graph.reports.columns import LOCALIZED, MOST_KINDS, Column, Type
from shieldwall.server.graph.resources import Json

Row = Json
"""One row by the names of its columns, without words."""


def decided(checked: Checked, shared: Row) -> Checked | None:
    """Decide what is asked of values that all rows share, and return what is left to ask; ``None``: no row fits."""
    left: list[Condition] = []
    for condition in _parts(checked.conditions):
        if names_read((condition,)) - shared.keys():
            left.append(condition)
        elif not memory.holds(condition, shared):
            return None
    return replace(checked, conditions=tuple(left))


def fitting(rows: Iterable[Row], checked: Checked) -> list[Row]:
    """Return the rows that fit, in the order asked for; of groups one each."""
    found = list(rows)
    if checked.conditions:
        found = [row for row in found if all(memory.holds(condition, row) for condition in checked.conditions)]
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
        "Values": list(map(reader(checked.columns), rows)),
        "SessionId": asked.session_id,
    }


@lru_cache(MOST_KINDS)
def schema(columns: tuple[Column, ...]) -> Sequence[Json]:
    """Name the columns and their types."""
    named: list[Json] = []
    for column in columns:
        named.append({"Column": column.name, "PropertyType": column.type.value})
        if column.is_pair:
            named.append({"Column": column.name + LOCALIZED, "PropertyType": Type.TEXT.value})
    return tuple(named)


@lru_cache(MOST_KINDS)
def reader(columns: tuple[Column, ...]) -> Callable[[Row], list[Any]]:
    """Make what returns the values of a row in the order of ``schema``."""
    names: list[str] = []
    words: list[tuple[int, Mapping[int, str]]] = []
    for column in columns:
        names += [column.name, column.name] if column.is_pair else [column.name]
        if column.words:
            words.append((len(names) - 1, column.words))
    read = itemgetter(*names, names[0])  # of one name it would return a value, and no tuple

    def values(row: Row) -> list[Any]:
        found: list[Any] = list(read(row)[:-1])
        for place, words_of in words:
            found[place] = words_of.get(found[place])
        return found

    return values


def _parts(conditions: Iterable[Condition]) -> Iterator[Condition]:
    for each in conditions:
        if isinstance(each, Both):
            yield from _parts(each.parts)
        else:
            yield each
