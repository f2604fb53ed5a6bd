"""Tenants get a small number each, by which the rows of devices can name them.

Revision ID: 0035_0034
"""

from __future__ import annotations

from alembic import op

from shieldwall.server.storage.migrations.made_anew import change_key, columns_of, make_anew

revision = "0035_0034"
down_revision = "0034_0033"

_FORMER = "CONSTRAINT pk_tenants PRIMARY KEY (id)"
_KEY = "CONSTRAINT pk_tenants PRIMARY KEY (number)"
_PRESENT = f"number INTEGER NOT NULL, \n\t{_KEY}, \n\tCONSTRAINT uq_tenants_id UNIQUE (id)"


def upgrade() -> None:
    """Number those that are there; whoever adds one without a number is given it."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        former = columns_of(connection, "tenants")
        rows = f"SELECT rowid, {', '.join(former)} FROM tenants ORDER BY rowid"  # noqa: S608 - our own names
        make_anew(connection, "tenants", {_FORMER: _PRESENT}, ["number", *former], rows)
        return
    op.execute("ALTER TABLE tenants ADD COLUMN number SERIAL")
    change_key(connection, "tenants", "number", "id")
    op.execute(
        "CREATE OR REPLACE FUNCTION tenant_number(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE"
        " AS 'BEGIN RETURN (SELECT number FROM tenants WHERE id = $1); END'"
    )


def downgrade() -> None:
    """Take the numbers away."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        kept = [column for column in columns_of(connection, "tenants") if column != "number"]
        rows = f"SELECT {', '.join(kept)} FROM tenants ORDER BY number"  # noqa: S608 - our own names
        make_anew(connection, "tenants", {_PRESENT: _FORMER}, kept, rows)
        return
    op.execute("DROP FUNCTION tenant_number(text)")
    change_key(connection, "tenants", "id", "number")
    op.drop_constraint("uq_tenants_number", "tenants")
    op.drop_column("tenants", "number")
