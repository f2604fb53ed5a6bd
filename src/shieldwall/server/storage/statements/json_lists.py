"""The values of a JSON list in a text column, as rows that SQL can ask about."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FunctionElement, TableValuedAlias, Text, column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class JsonTexts(FunctionElement[Any]):
    """A set of rows, one for each text of a list, with the column ``value``."""

    name = "json_texts"
    inherit_cache = True


def values_of(texts: ColumnElement[Any]) -> TableValuedAlias:
    """Return the rows of a list that a text column of the surrounding query holds."""
    return JsonTexts(texts).table_valued(column("value", Text()))


@compiles(JsonTexts, "sqlite")
def _on_sqlite(element: JsonTexts, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(JsonTexts, "postgresql")
def _on_postgresql(element: JsonTexts, compiler: SQLCompiler, **options: Any) -> str:
    return f"jsonb_array_elements_text(({compiler.process(element.clauses, **options)})::jsonb)"
