"""Tables that get another key, for revisions: SQLite can change none that is there, so the table is made anew.

Rows are copied, and indexes and triggers come back word for word. Foreign keys have to rest meanwhile
(``Database.rebuild``): else SQLite would take along all rows that name one of the former table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

_TEMPORARY: Final = "made_anew"


def make_anew(connection: Connection, table: str, changed: dict[str, str], columns: Iterable[str], rows: str) -> None:
    """Make a table of SQLite anew from its own words, of which some are ``changed``; fill these columns with ``rows``.

    Raises:
        ValueError: Words to be changed do not stand there once, or rows of other tables would go with the former one.
    """
    kept = connection.exec_driver_sql(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type = 'trigger'", (table,)
    ).all()
    (made,) = (str(words) for kind, words in kept if kind == "table")
    head, _, body = made.partition("(")
    for before, after in changed.items():
        if body.count(before) != 1:
            raise ValueError(f"{before!r} does not stand once in {made!r}.")
        body = body.replace(before, after)
    is_empty = connection.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1").first() is None  # noqa: S608 - our own names
    if connection.exec_driver_sql("PRAGMA foreign_keys").scalar() and not is_empty:
        raise ValueError(f"Foreign keys have to rest while {head.strip()} is done again.")
    connection.exec_driver_sql(f"CREATE TABLE {_TEMPORARY} ({body}")
    connection.exec_driver_sql(f"INSERT INTO {_TEMPORARY} ({', '.join(columns)}) {rows}")
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")  # triggers elsewhere may name what is not there now
    connection.exec_driver_sql(f"ALTER TABLE {_TEMPORARY} RENAME TO {table}")
    connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
    for words in (str(words) for kind, words in kept if kind != "table"):
        connection.exec_driver_sql(words)


def columns_of(connection: Connection, table: str) -> list[str]:
    """Return the columns of a table of SQLite, in their order."""
    return [str(row[1]) for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]


def change_key(connection: Connection, table: str, key: str, unique: str) -> None:
    """Give a table of PostgreSQL another primary key, and let the former one, now ``unique``, be named as before."""
    found = connection.exec_driver_sql(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"  # noqa: S608 - our own names
        f" WHERE contype = 'f' AND confrelid = '{table}'::regclass ORDER BY 1, 2"
    ).all()
    for naming, name, _ in found:
        connection.exec_driver_sql(f"ALTER TABLE {naming} DROP CONSTRAINT {name}")
    connection.exec_driver_sql(
        f"ALTER TABLE {table} DROP CONSTRAINT pk_{table}, DROP CONSTRAINT IF EXISTS uq_{table}_{key},"
        f" ADD CONSTRAINT pk_{table} PRIMARY KEY ({key}),"
        f" ADD CONSTRAINT uq_{table}_{unique} UNIQUE ({unique})"
    )
    for naming, name, words in found:
        connection.exec_driver_sql(f"ALTER TABLE {naming} ADD CONSTRAINT {name} {words}")
