"""Rows of devices hold the number of their tenant in place of its id, and so do their indexes.

Programs from before ask for the ids, so they do not serve from here on. There was no release, so numbers and ids never
stand side by side: each table is written anew once.

Revision ID: 0036_0035
"""

from __future__ import annotations

from dataclasses import replace

from alembic import op

from shieldwall.server.storage.migrations.made_anew import columns_of, make_anew
from shieldwall.server.storage.tables.fleet_triggers import Watched, What, create, drop

revision = "0036_0035"
down_revision = "0035_0034"

_TABLES = ("inventory", "check_ins", "check_in_answers", "device_reports", "sightings")
_BY_ID = ("tenant_id", "id")
_BY_NUMBER = ("tenant_number", "number")
"""The column that says whose a row is, and what of the tenant it holds."""
_NAMED_AFTER = {
    "check_ins": ("ix_check_ins_{}_last_check_in_device_id", "ix_check_ins_{}_status_digest"),
}
"""Indexes that are named after their columns."""
_WATCHED = (
    Watched(
        name="targets",
        table="check_ins",
        what=What.TARGET,
        tenant="tenant_number",
        comes="NEW.target_digest IS NOT NULL",
        goes=False,
        columns=("target_digest",),
    ),
    Watched(
        name="protocols",
        table="check_ins",
        what=What.DEVICE,
        tenant="tenant_number",
        comes=None,
        goes=False,
        columns=("protocol",),
    ),
    Watched(
        name="statuses",
        table="check_ins",
        what=What.STATUS,
        tenant="tenant_number",
        comes="NEW.status_digest IS NOT NULL",
        goes=False,
        columns=("status_digest",),
    ),
    Watched(
        name="figures",
        table="inventory",
        what=What.STATUS,
        tenant="tenant_number",
        comes=None,
        goes=False,
        columns=("engine_trouble", "report_trouble", "impaired", "repaired", "drifted"),
    ),
)


def upgrade() -> None:
    """Put numbers in place of ids."""
    drop(op.get_bind(), _WATCHED)
    for table in _TABLES:
        if op.get_bind().dialect.name == "sqlite":
            _make_anew(table, _BY_ID, _BY_NUMBER, ("VARCHAR(36)", "INTEGER"))
        else:
            _change(table, _BY_ID, _BY_NUMBER, "integer USING tenant_number(tenant_id)")
    create(op.get_bind(), _WATCHED)


def downgrade() -> None:
    """Put ids in place of numbers."""
    drop(op.get_bind(), _WATCHED)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION pg_temp.tenant_id(integer) RETURNS varchar LANGUAGE sql"
            " AS 'SELECT id FROM tenants WHERE number = $1'"
        )
    for table in _TABLES:
        if op.get_bind().dialect.name == "sqlite":
            _make_anew(table, _BY_NUMBER, _BY_ID, ("INTEGER", "VARCHAR(36)"))
        else:
            _change(table, _BY_NUMBER, _BY_ID, "varchar(36) USING pg_temp.tenant_id(tenant_number)")
    create(op.get_bind(), (replace(each, tenant="tenant_id") for each in _WATCHED))


def _change(table: str, before: tuple[str, str], after: tuple[str, str], kind: str) -> None:
    """Have PostgreSQL write a table and its indexes anew, with another column for its tenants."""
    (former, _), (column, named) = before, after
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT fk_{table}_{former}")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN {former} TYPE {kind}")
    op.execute(f"ALTER TABLE {table} RENAME COLUMN {former} TO {column}")
    op.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_{column} FOREIGN KEY ({column}) REFERENCES tenants ({named})"
    )
    for name in _NAMED_AFTER.get(table, ()):
        op.execute(f"ALTER INDEX {name.format(former)} RENAME TO {name.format(column)}")


def _make_anew(table: str, before: tuple[str, str], after: tuple[str, str], kind: tuple[str, str]) -> None:
    """Have SQLite do the same; its indexes name the column too, and their words are not those of the table."""
    (former, named), (column, names) = before, after
    connection = op.get_bind()
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql LIKE ?"
    indexes = connection.exec_driver_sql(query, (table, f"%{former}%")).all()
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    columns = columns_of(connection, table)
    tenant = f"(SELECT {names} FROM tenants WHERE tenants.{named} = {table}.{former})"  # noqa: S608 - our own names
    read = ", ".join(tenant if each == former else each for each in columns)
    changed = {
        f"{former} {kind[0]} NOT NULL": f"{column} {kind[1]} NOT NULL",
        f"CONSTRAINT fk_{table}_{former} FOREIGN KEY({former}) REFERENCES tenants ({named})": (
            f"CONSTRAINT fk_{table}_{column} FOREIGN KEY({column}) REFERENCES tenants ({names})"
        ),
    }
    rows = f"SELECT {read} FROM {table} ORDER BY rowid"  # noqa: S608 - as above
    make_anew(connection, table, changed, [column if each == former else each for each in columns], rows)
    for _, words in indexes:
        connection.exec_driver_sql(words.replace(former, column))
