"""Between records and rows: a record's fields carry the names of its table's columns; lists and maps are JSON text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

from sqlalchemy import Label, Table

from shieldwall.contract import strict_json

T = TypeVar("T")

_MOST_PARAMETERS: Final = 500
"""Ids named in one statement; both engines bound how many parameters a statement may have."""


def whole(table: Table) -> list[Label[Any]]:
    """Return all columns of a table, for a query, under the names that they have here."""
    return [column.label(column.key) for column in table.c]


def columns_of(record: Any, **encoded: Any) -> dict[str, Any]:
    """Return the columns of a record, those named in ``encoded`` as given there."""
    return {field.name: getattr(record, field.name) for field in fields(record)} | encoded


def to_text(value: Any) -> str:
    """Write a list or map for a text column."""
    return strict_json.encode(value).decode()


def strings_from(text: str) -> tuple[str, ...]:
    """Read a list of strings back."""
    return strict_json.decode(text.encode(), tuple[str, ...]) if text != "[]" else ()


def map_from(text: str) -> dict[str, str]:
    """Read a map of strings back."""
    return strict_json.decode(text.encode(), dict[str, str]) if text != "{}" else {}


def portions(values: Sequence[T], size: int = _MOST_PARAMETERS) -> Iterator[Sequence[T]]:
    """Cut a list of ids into parts that one statement can name, or that one wants to hold at a time."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
