"""Devices and groups get a small number each, by which narrow rows can name them.

On SQLite both tables are made anew: there the number is the row's own place, and takes no room.

Revision ID: 0033_0023
"""

from __future__ import annotations

from alembic import op

from shieldwall.server.storage.migrations.made_anew import change_key, columns_of, make_anew

revision = "0033_0023"
down_revision = "0032_0023"

_NUMBERED = ("devices", "groups")


def upgrade() -> None:
    """Number the rows that are there in their order; whoever adds rows without a number is given one."""
    connection = op.get_bind()
    for table in _NUMBERED:
        if connection.dialect.name == "sqlite":
            former = columns_of(connection, table)
            rows = f"SELECT rowid, {', '.join(former)} FROM {table} ORDER BY rowid"  # noqa: S608 - our own names
            make_anew(connection, table, {_former(table): _present(table)}, ["number", *former], rows)
        else:
            op.execute(f"ALTER TABLE {table} ADD COLUMN number SERIAL")
            change_key(connection, table, "number", "id")


def downgrade() -> None:
    """Take the numbers away."""
    connection = op.get_bind()
    for table in _NUMBERED:
        if connection.dialect.name == "sqlite":
            kept = [column for column in columns_of(connection, table) if column != "number"]
            rows = f"SELECT {', '.join(kept)} FROM {table} ORDER BY number"  # noqa: S608 - our own names
            make_anew(connection, table, {_present(table): _former(table)}, kept, rows)
        else:
            change_key(connection, table, "id", "number")
            op.drop_constraint(f"uq_{table}_number", table)
            op.drop_column(table, "number")


def _former(table: str) -> str:
    return f"CONSTRAINT pk_{table} PRIMARY KEY (id)"


def _present(table: str) -> str:
    key = f"CONSTRAINT pk_{table} PRIMARY KEY (number)"
    return f"number INTEGER NOT NULL, \n\t{key}, \n\tCONSTRAINT uq_{table}_id UNIQUE (id)"
