"""Each revision leaves alone what the programs that it serves read and write, so that both run side by side."""

from __future__ import annotations

import re
from contextlib import closing
from itertools import pairwise
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Table
from tests.support.databases import database_url
from tests.support.full_database import fill

from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database

__all__ = ["database_url"]

FIRST = "0023"
"""Before it, programs were exchanged while nobody was served."""
NAMED = "0029"
"""As of it, a revision says in its name which programs it serves."""


UNKEPT = ("0034_0033", "0036_0035", "0037_0035", "0040_0039", "0041_0040")
"""They do not serve the oldest program that they name. Nobody finds them: an upgrade does not end at them any more."""
TAKEN_AWAY = {"0038_0037": {"sightings.id"}}
"""What the oldest program that a revision names had ceased to read and to write, so that it may go."""


def scripts() -> list[str]:
    """Each revision that the rule holds for, and the one before the first of them; the oldest first."""
    found = ScriptDirectory(str(migrate._MIGRATIONS)).walk_revisions("base", "heads")
    names = [script.revision for script in reversed(list(found))]
    return names[names.index(FIRST) - 1 :]


def served(revision: str, before: str, names: list[str]) -> str:
    """Return the revision of the oldest program that this one serves, as its name says."""
    if revision[:4] < NAMED:
        return before
    return next(name for name in names if name[:4] == revision[5:])


def test_a_revision_says_whom_it_serves() -> None:
    names = scripts()
    for before, revision in pairwise(names):
        if revision[:4] < NAMED:
            continue
        found = re.fullmatch(r"(\d{4})_(\d{4})", revision)
        assert found, f"{revision}: name it NUMBER_OLDEST, see storage/engine/migrate.py"
        assert found[2] <= found[1], f"{revision} serves nobody, not even its own program"
        assert found[2] >= (before[5:] or FIRST), f"{revision} brings back what {before} took away"
        assert found[2] in {name[:4] for name in names}, f"{revision} serves a program that there never was"
    assert names[-1] not in UNKEPT, "what a database is left at is true"


def test_what_the_oldest_program_that_is_served_reads_and_writes_stays(database_url: str) -> None:
    names, schemas, taken = scripts(), dict[str, MetaData](), set[str]()
    with closing(Database(database_url)) as database:
        for before, revision in pairwise([names[0], *names]):
            with database.write() as connection:
                command.upgrade(migrate._config(connection), revision)
                schemas[revision] = MetaData()
                schemas[revision].reflect(connection)
            taken |= TAKEN_AWAY.get(revision, set())
            if revision in UNKEPT or revision == names[0]:
                continue
            old, new = schemas[served(revision, before, names)], schemas[revision]
            assert lost(old, new) <= taken, f"{revision} takes away what a program that it serves needs"
            if lost(old, new):
                continue
            with database.write() as connection:
                savepoint = connection.begin_nested()
                fill(connection, old)
                savepoint.rollback()


def test_revisions_that_do_not_serve_whom_they_name_are_found(database_url: str) -> None:
    """The rule is shown to bite on what was once broken: digests that became bytes."""
    with closing(Database(database_url)) as database, database.rebuild() as connection:
        schemas = []
        for revision in ("0040_0039", "0041_0040"):
            command.upgrade(migrate._config(connection), revision)
            schemas.append(MetaData())
            schemas[-1].reflect(connection)
    assert {"check_ins.request_digest", "devices.tpm_ek_hash"} <= lost(*schemas)


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
        if not lost(old, new):
            with pytest.raises(Exception, match=r"no|CHECK"):
                fill(connection, old)


def lost(old: MetaData, new: MetaData) -> set[str]:
    """Return the columns that are not what they were."""
    return {
        f"{table.name}.{column.name}"
        for table in old.sorted_tables
        for column in table.c
        if table.name not in new.tables or not is_kept(column, new.tables[table.name])
    }


def is_kept(column: Column[Any], now: Table) -> bool:
    """Whether a column is there and takes what it took."""
    if (same := now.c.get(column.name)) is None:
        return False
    return str(same.type) == str(column.type) and (same.nullable or not column.nullable)
