"""Triggers in the words of either database: SQLite takes statements, PostgreSQL a function that the trigger calls."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection


def create_statements(dialect: str, name: str, cause: str, body: str) -> Iterator[str]:
    """Write what makes a trigger: ``body`` is statements, on PostgreSQL in PL/pgSQL with what the function returns."""
    if dialect == "sqlite":
        yield f"CREATE TRIGGER {name} {cause} BEGIN {body}; END"
        return
    yield f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$"
    yield f"CREATE TRIGGER {name} {cause} EXECUTE FUNCTION {name}()"


def drop(connection: Connection, name: str, table: str) -> None:
    """Take a trigger of a table away, if it is there, and its function."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        return
    connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name} ON {table}")
    connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")
