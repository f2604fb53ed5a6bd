"""Searching through the list of devices: texts that stand somewhere in what is searched of a row.

No index answers that, so every row is looked at, and most of that time is the comparison. Each engine has one that is
quicker than others: SQLite's pattern begins to compare at once, PostgreSQL's ``strpos`` skips as many letters as a text
has. Longer texts are looked for first: they are rarer, and quicker not to find.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Self

from sqlalchemy import Boolean, ColumnElement, FunctionElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.operators import OperatorType

from shieldwall.server.storage.schema import inventory

_ESCAPE: Final = "\\"


def searching(text: str) -> tuple[ColumnElement[bool], ...]:
    """Say that every word of a search stands in what is searched of a row."""
    return holding(text.casefold().split())


def holding(texts: Iterable[str]) -> tuple[ColumnElement[bool], ...]:
    """Say that every one of these texts, in small letters and not empty, stands in what is searched of a row."""
    longest_first = sorted(texts, key=len, reverse=True)
    return tuple(_Holds(inventory.c.search, literal(each), literal(_pattern(each))) for each in longest_first)


def contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Say that a short text of a row has another one in it."""
    return column.contains(text, autoescape=True, escape=_ESCAPE)


class _Holds(FunctionElement[bool]):
    """Whether a column has a text in it. Its clauses: the column, the text, and the pattern of it."""

    name = "holds"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:
        """Stay a comparison: of what a function says SQLite would be asked whether it is 1."""
        del against
        return self


@compiles(_Holds, "sqlite")
def _by_pattern(element: _Holds, compiler: SQLCompiler, **options: Any) -> str:
    column, _, pattern = element.clauses
    return f"({compiler.process(column, **options)} LIKE {compiler.process(pattern, **options)} ESCAPE '{_ESCAPE}')"


@compiles(_Holds, "postgresql")
def _by_skipping(element: _Holds, compiler: SQLCompiler, **options: Any) -> str:
    column, text, _ = element.clauses
    return f"(strpos({compiler.process(column, **options)}, {compiler.process(text, **options)}) > 0)"


def _pattern(text: str) -> str:
    for each in (_ESCAPE, "%", "_"):
        text = text.replace(each, _ESCAPE + each)
    return f"%{text}%"
