"""Texts as they are compared whatever their case, alike in Python, on SQLite and on PostgreSQL.

A folded text has its letters small, as Unicode's default mapping has them, and one form of the small sigma, whose final
form depends on where it stands. ``ß`` stays ``ß``. Folded texts order by the numbers of their characters.

SQLite knows only the letters of ASCII, so ``engine.database`` gives each connection the function below. PostgreSQL
maps by ICU, which its packages bring; nothing in a database's file refers to the function.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, FunctionElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

FUNCTION: Final = "shieldwall_fold"
_FINAL_SIGMA, _SIGMA = "\u03c2", "\u03c3"


def fold(text: str) -> str:
    """Write a text in small letters."""
    return text.lower().replace(_FINAL_SIGMA, _SIGMA)


def fold_or_none(text: str | None) -> str | None:
    """Fold a text for SQLite, where nothing stays nothing."""
    return None if text is None else fold(text)


class Folded(FunctionElement[str]):
    """The folded text of one expression, for comparing and ordering."""

    name = "folded"
    type = Text()
    inherit_cache = True

    def __init__(self, expression: ColumnElement[Any]) -> None:
        super().__init__(expression)


def holds(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Say that a column has a text in it, whatever the case of either."""
    return Folded(column).contains(fold(text), autoescape=True)


@compiles(Folded, "sqlite")
def _on_sqlite(element: Folded, compiler: SQLCompiler, **options: Any) -> str:
    return f"{FUNCTION}({compiler.process(element.clauses, **options)})"


@compiles(Folded, "postgresql")
def _on_postgresql(element: Folded, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    return f"(replace(lower(({text}) COLLATE \"und-x-icu\"), '{_FINAL_SIGMA}', '{_SIGMA}') COLLATE \"C\")"
