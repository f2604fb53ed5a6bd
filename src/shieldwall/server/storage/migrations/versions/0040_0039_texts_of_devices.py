"""What a search looks through is a table of its own, without the ids, and leaves the list of devices.

Programs from before write and read it there, so they do not serve from here on.

Revision ID: 0040_0039
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shieldwall.server.storage.migrations.made_anew import columns_of, make_anew
from shieldwall.server.storage.tables import triggers

revision = "0040_0039"
down_revision = "0039_0037"

_COLUMN = "search TEXT NOT NULL, \n\t"
_BESIDE = "tags TEXT NOT NULL, \n\t"
_TRIGGER = "device_texts_follow"
_CAUSE = "AFTER UPDATE OF state ON devices FOR EACH ROW WHEN (OLD.state {differs} NEW.state)"
_FOLLOWING = "\nUPDATE device_texts SET state = NEW.state WHERE number = NEW.number;\n"
"""To the letter as a new database has it."""
_IDS = "{separator} || lower(devices.id) || {separator} || lower(devices.object_id) || {separator}"


def upgrade() -> None:
    """Take the texts apart from the rows that they were in, and the ids out of them."""
    op.create_table(
        "device_texts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant_number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_device_texts"),
        sa.ForeignKeyConstraint(["number"], ["devices.number"], name="fk_device_texts_number", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_number"], ["tenants.number"], name="fk_device_texts_tenant_number"),
    )
    text = f"replace(search, {_ids()}, {_separator()})"
    op.execute(
        f"INSERT INTO device_texts SELECT inventory.number, tenant_number, inventory.state, {text} FROM inventory"  # noqa: S608 - ours
        " JOIN devices ON devices.number = inventory.number ORDER BY inventory.number"
    )
    op.create_index("ix_device_texts_tenant_number", "device_texts", ["tenant_number"])
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        kept = [column for column in columns_of(connection, "inventory") if column != "search"]
        make_anew(connection, "inventory", {_COLUMN: ""}, kept, _rows(kept))
    else:
        op.drop_column("inventory", "search")
        op.execute("CLUSTER inventory USING pk_inventory")  # else what was dropped would stay in each row
        op.execute("ALTER TABLE inventory SET WITHOUT CLUSTER")
    differs = "IS NOT" if connection.dialect.name == "sqlite" else "IS DISTINCT FROM"
    created = f"CREATE TRIGGER {_TRIGGER} {_CAUSE.format(differs=differs)}"
    triggers.drop(connection, _TRIGGER, "devices")
    if connection.dialect.name == "sqlite":
        op.execute(f"{created} BEGIN {_FOLLOWING} END")
    else:
        body = f"BEGIN {_FOLLOWING} RETURN NULL; END"
        op.execute(f"CREATE FUNCTION {_TRIGGER}() RETURNS trigger AS $$ {body} $$ LANGUAGE plpgsql")
        op.execute(f"{created} EXECUTE FUNCTION {_TRIGGER}()")


def downgrade() -> None:
    """Put the texts back, with the ids behind the first of each."""
    connection = op.get_bind()
    triggers.drop(connection, _TRIGGER, "devices")
    find = "instr" if connection.dialect.name == "sqlite" else "strpos"
    first = f"{find}(text, {_separator()})"
    whole = (
        f"CASE {first} WHEN 0 THEN text ELSE substr(text, 1, {first} - 1) || {_ids()} || substr(text, {first} + 1) END"
    )
    theirs = (
        f"(SELECT {whole} FROM device_texts JOIN devices ON devices.number = device_texts.number"  # noqa: S608 - as above
        " WHERE device_texts.number = inventory.number)"
    )
    if connection.dialect.name == "sqlite":
        kept = columns_of(connection, "inventory")
        rows = _rows(kept).replace(" FROM ", f", {theirs} FROM ", 1)
        make_anew(connection, "inventory", {_BESIDE: _BESIDE + _COLUMN}, [*kept, "search"], rows)
    else:
        op.execute("ALTER TABLE inventory ADD COLUMN search TEXT")
        op.execute(f"UPDATE inventory SET search = {theirs}")  # noqa: S608 - as above
        op.execute("ALTER TABLE inventory ALTER COLUMN search SET NOT NULL")
    op.drop_table("device_texts")


def _rows(columns: list[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM inventory ORDER BY number"  # noqa: S608 - our own names


def _separator() -> str:
    return "char(31)" if op.get_bind().dialect.name == "sqlite" else "chr(31)"


def _ids() -> str:
    return _IDS.format(separator=_separator())
