"""What the commands of reports share: how a question is written, and how its table is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.csv_files import write_csv
from shieldwall.cli.listing import text_of
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.presentation import show_json, show_table
from shieldwall.cli.report_tables import Table, for_people, heading

CsvOption = Annotated[
    Path | None, typer.Option("--csv", help="Write it to this file, which must not exist.", dir_okay=False)
]
COUNTS: Final = tuple(f"NumberOf{each}Devices" for each in ("Succeeded", "Error", "Conflict", "Pending"))
ALL_COUNTS: Final = (*COUNTS, "NumberOfNotApplicableDevices", "NumberOfDevices")


def is_one(column: str, value: str) -> str:
    """Say that a column has one value."""
    return f"{column} eq {text_of(value)}"


def question(
    conditions: list[str | None], columns: list[str] | None, *, search: str | None = None, order: str | None = None
) -> dict[str, Any]:
    """Write a question to a report."""
    return {
        "filter": " and ".join(f"({each})" for each in conditions if each),
        "select": columns or [],
        "search": search,
        "orderBy": order.split(",") if order else [],
    }


def show_report(found: Table, shown: list[str] | tuple[str, ...], *, as_json: bool, csv: Path | None) -> None:
    """Show a report: every column to programs and in files, those that matter to people."""
    if csv is not None:
        write_csv(csv, found.columns, found.rows)
        typer.echo(f"Wrote {len(found.rows)} rows to {csv}.", err=as_json)
    if as_json:
        show_json(found.rows)
    elif csv is None:
        columns, now = for_people(found, shown), present()
        rows = [
            [moment_in_words(row[each], now) if each in found.moments else row[each] for each in columns]
            for row in found.rows
        ]
        show_table([heading(each) for each in columns], rows, empty="There is nothing to report.")
    if len(found.rows) < found.total:
        typer.echo(f"{len(found.rows)} of {found.total} rows; --all gives all of them.", err=True)
