"""Tables as CSV files that spreadsheets read as what they are: UTF-8, and no cell that is taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from shieldwall.cli.presentation import printable
from shieldwall.cli.private_files import new_private_file

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_MARK: Final = "\ufeff"
"""Without it, spreadsheets take UTF-8 for something else."""


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to a new file that only its owner may read. Raises: FileExistsAlreadyError, FileNotWritableError."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([cell(row[column]) for column in columns] for row in rows)
    with new_private_file(path) as file:
        file.write((_MARK + text.getvalue()).encode())


def cell(value: object) -> str:
    """Write a value for a cell; a text that begins like a formula gets an apostrophe, and nothing in it is hidden."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    return printable(f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text)
