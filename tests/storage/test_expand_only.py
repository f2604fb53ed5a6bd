"""Each revision leaves alone what the program before it reads and writes, so that both run side by side."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Table
from tests.support.databases import database_url
from tests.support.full_database import fill

from shieldwall.server.storage import migrate
from shieldwall.server.storage.database import Database

__all__ = ["database_url"]

FIRST = "0023"
"""Before it, programs were exchanged while nobody was served."""
NAMED = "0029"
"""As of it, a revision says in its name which programs it serves."""


def scripts() -> list[tuple[str, str]]:
    """Each revision that the rule holds for, with the one before it; the oldest first."""
    found = ScriptDirectory(str(migrate._MIGRATIONS)).walk_revisions("base", "heads")
    pairs = [(str(each.down_revision), each.revision) for each in found]
    names = [revision for _, revision in reversed(pairs)]
    return list(reversed(pairs))[names.index(FIRST) :]


def test_a_revision_says_whom_it_serves() -> None:
    for before, revision in scripts():
        if revision[:4] < NAMED:
            continue
        found = re.fullmatch(r"(\d{4})_(\d{4})", revision)
        assert found, f"{revision}: name it NUMBER_OLDEST, see storage/migrate.py"
        assert found[2] <= before[:4], f"{revision} does not even serve the program before it"
        assert found[2] >= (before[5:] or FIRST), f"{revision} brings back what {before} took away"


def test_what_the_program_before_reads_and_writes_stays(database_url: str) -> None:
    with closing(Database(database_url)) as database:
        for before, revision in scripts():
            with database.write() as connection:
                command.upgrade(migrate._config(connection), before)
                old = MetaData()
                old.reflect(connection)
                command.upgrade(migrate._config(connection), revision)
                new = MetaData()
                new.reflect(connection)
            if contracts(before, revision):
                continue
            for table in old.sorted_tables:
                assert table.name in new.tables, f"{revision} takes the table {table.name} away"
                narrowed = [column.name for column in table.c if not is_kept(column, new.tables[table.name])]
                assert not narrowed, f"{revision} changes {table.name}: {narrowed}"
            with database.write() as connection:
                savepoint = connection.begin_nested()
                fill(connection, old)
                savepoint.rollback()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE tenants DROP COLUMN created_at",
        "ALTER TABLE tenants RENAME COLUMN domain TO domain_name",
        "ALTER TABLE tenants ADD COLUMN more TEXT NOT NULL DEFAULT 'x' CHECK (more <> 'x')",
        "CREATE TRIGGER no BEFORE INSERT ON tenants BEGIN SELECT RAISE(ABORT, 'no'); END",
    ],
)
def test_what_would_break_the_program_before_is_found(database_url: str, statement: str) -> None:
    with closing(Database(database_url)) as database, database.write() as connection:
        command.upgrade(migrate._config(connection), FIRST)
        old, new = MetaData(), MetaData()
        old.reflect(connection)
        connection.exec_driver_sql(statement)
        new.reflect(connection)
        is_found = any(not is_kept(column, new.tables[table.name]) for table in old.sorted_tables for column in table.c)
        if not is_found:
            with pytest.raises(Exception, match=r"no|CHECK"):
                fill(connection, old)


def contracts(before: str, revision: str) -> bool:
    """Whether a revision says that it takes away what programs before it needed."""
    return bool(revision[5:]) and revision[5:] > (before[5:] or FIRST)


def is_kept(column: Column[Any], now: Table) -> bool:
    """Whether a column is there and takes what it took."""
    if (same := now.c.get(column.name)) is None:
        return False
    return str(same.type) == str(column.type) and (same.nullable or not column.nullable)
