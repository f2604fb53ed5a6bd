"""How large a database is, by table and index, on either engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from shieldwall.server.storage.engine.database import Database

_SQLITE: Final = """
    SELECT master.tbl_name, master.type, dbstat.name, sum(dbstat.pgsize) FROM dbstat
    LEFT JOIN sqlite_master AS master ON master.name = dbstat.name WHERE dbstat.aggregate = 1 GROUP BY 3
"""
_POSTGRESQL: Final = """
    SELECT tables.relname, CASE entry.relkind WHEN 'i' THEN 'index' ELSE 'table' END, entry.relname,
        pg_relation_size(entry.oid) + COALESCE(pg_total_relation_size(NULLIF(entry.reltoastrelid, 0)), 0)
    FROM pg_class AS entry
    LEFT JOIN pg_index ON pg_index.indexrelid = entry.oid
    JOIN pg_class AS tables ON tables.oid = COALESCE(pg_index.indrelid, entry.oid)
    JOIN pg_namespace ON pg_namespace.oid = entry.relnamespace
    WHERE pg_namespace.nspname = current_schema() AND entry.relkind IN ('r', 'i')
"""


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """What one table, or one index of it, takes."""

    size: int
    table: str
    kind: str
    name: str


def sizes(database: Database) -> list[Size]:
    """Measure all tables and indexes, the largest first."""
    with database.read() as connection:
        return sorted(_measured(connection, is_sqlite=database.is_sqlite), reverse=True)


def by_table(listed: list[Size]) -> Counter[tuple[str, str]]:
    """Add up what each table takes: itself, and its indexes."""
    added: Counter[tuple[str, str]] = Counter()
    for each in listed:
        added[each.table, each.kind] += each.size
    return added


def _measured(connection: Connection, *, is_sqlite: bool) -> list[Size]:
    rows = connection.execute(text(_SQLITE if is_sqlite else _POSTGRESQL))
    return [Size(int(size), table or name, kind or "table", name) for table, kind, name, size in rows]
