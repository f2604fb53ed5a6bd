"""Long work that writes a table to a file."""

from __future__ import annotations

from shieldwall.server.inventory.table_export import MEDIA_TYPES, Table, as_csv, as_json
from shieldwall.server.portal.work.progress import File, Progress


def write_table(progress: Progress, table: Table, kind: str) -> File:
    """Write a table as ``csv`` or ``json``; each row is a step. Raises: WorkCancelledError."""
    file = progress.new_file(f"{table.name}.{kind}", MEDIA_TYPES[kind])
    with file.open() as stream:
        for part in (as_csv if kind == "csv" else as_json)(table):
            stream.write(part)
            progress.advance()
    return file
