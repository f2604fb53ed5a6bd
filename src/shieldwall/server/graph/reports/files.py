"""A report as a file: a zip that holds one CSV or JSON document, written row by row."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from shieldwall.contract.strict_json import encode
from shieldwall.server.graph.reports.columns import LOCALIZED, Column
from shieldwall.server.graph.reports.tables import Row, reader
from shieldwall.server.inventory.machine_export import cell

REPLACED: Final = "replaceLocalizableValues"
"""Words stand in the place of numbers; otherwise in a column of their own."""
ADDED: Final = "localizedValuesAsAdditionalColumn"
_MARK: Final = "\ufeff"
"""Without it, spreadsheets take UTF-8 for something else."""


def zipped(name: str, document: Iterable[bytes]) -> bytes:
    """Put a document into a zip; only what is compressed is held."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for part in document:
            member.write(part)
    return kept.getvalue()


def as_csv(rows: Iterable[Row], columns: tuple[Column, ...], localization: str) -> Iterator[bytes]:
    """Write a header and one line per row; what a spreadsheet would take for a formula is made text."""
    yield (_MARK + _line(_names(columns, localization))).encode()
    values = _reader(columns, localization)
    for row in rows:
        yield _line(map(cell, values(row))).encode()


def as_json(rows: Iterable[Row], columns: tuple[Column, ...], localization: str) -> Iterator[bytes]:
    """Write an object with a list of rows, each an object."""
    names, values = _names(columns, localization), _reader(columns, localization)
    before = b'{"values":['
    for row in rows:
        yield before + encode(dict(zip(names, values(row), strict=True)))
        before = b",\n"
    yield b'{"values":[]}\n' if before != b",\n" else b"]}\n"


def _names(columns: Iterable[Column], localization: str) -> list[str]:
    names: list[str] = []
    for column in columns:
        names += [column.name, column.name + LOCALIZED] if column.is_pair and localization == ADDED else [column.name]
    return names


def _reader(columns: tuple[Column, ...], localization: str) -> Callable[[Row], list[Any]]:
    if localization == ADDED:
        return reader(columns)
    return lambda row: [column.word_of(row[column.name]) if column.is_pair else row[column.name] for column in columns]


def _line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
