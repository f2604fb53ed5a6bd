"""Any table as a file, written row by row: CSV for spreadsheets, JSON for programs.

Whatever a device calls itself stays text in a spreadsheet, as in the export of devices.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.server.inventory.machine_export import cell

MEDIA_TYPES: Final = {"csv": "text/csv", "json": "application/json"}
MARK: Final = "\ufeff"
"""Without it, spreadsheets take UTF-8 for something else."""


class UnknownFormatError(ShieldwallError):
    """A file of this kind is not written here."""

    code = "unknownFormat"
    remedy = "Ask for csv or json."


@dataclass(frozen=True, slots=True)
class Table:
    """What is written: the name of the file without its ending, the columns, and rows with a value for each of them."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]


def as_csv(table: Table) -> Iterator[str]:
    """Write the columns, and each row on a line of its own."""
    yield MARK + _line(table.columns)
    for row in table.rows:
        yield _line(map(cell, row))


def as_json(table: Table) -> Iterator[str]:
    """Write a list with an object for each row, on a line of its own."""
    before = "["
    for row in table.rows:
        yield before + encode(dict(zip(table.columns, row, strict=True))).decode()
        before = ",\n"
    yield "[]\n" if before == "[" else "]\n"


def extension(kind: str) -> str:
    """Read which kind of file is asked for. Raises: UnknownFormatError."""
    if kind not in MEDIA_TYPES:
        raise UnknownFormatError(f"{kind[:16]!r} is not a kind of file that is written here.")
    return kind


def _line(cells: Iterable[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(cells)
    return written.getvalue()
