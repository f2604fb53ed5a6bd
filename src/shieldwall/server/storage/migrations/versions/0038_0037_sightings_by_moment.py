"""A sighting is named by its device and its moment, which never repeat: it has no id any more, and one index less.

Programs from before the last revision write the ids themselves: they do not serve from here on.

Revision ID: 0038_0037
"""

from __future__ import annotations

from alembic import op

from shieldwall.server.storage.migrations.made_anew import columns_of, make_anew

revision = "0038_0037"
down_revision = "0037_0035"

_INDEX = "ix_sightings_device_id_at"
_KEY_OF_ID = "CONSTRAINT pk_sightings PRIMARY KEY (id)"
_KEY = "CONSTRAINT pk_sightings PRIMARY KEY (device_id, at)"
_ID = "\tid VARCHAR(36) DEFAULT (lower(hex(randomblob(16)))) NOT NULL, \n"
_FIRST = "\ttenant_number INTEGER NOT NULL"
_WITH_ROWID = "ON DELETE CASCADE\n)"
_WITHOUT_ROWID = f"{_WITH_ROWID}\n WITHOUT ROWID"


def upgrade() -> None:
    """Let go of the ids."""
    op.drop_index(_INDEX, "sightings")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE sightings DROP CONSTRAINT pk_sightings, DROP COLUMN id, ADD {_KEY}")
        return
    kept = [column for column in columns_of(op.get_bind(), "sightings") if column != "id"]
    changed = {_ID: "", _KEY_OF_ID: _KEY, _WITH_ROWID: _WITHOUT_ROWID}
    rows = f"SELECT {', '.join(kept)} FROM sightings ORDER BY device_id, at"  # noqa: S608 - our own names
    make_anew(op.get_bind(), "sightings", changed, kept, rows)


def downgrade() -> None:
    """Give each an id again."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE sightings DROP CONSTRAINT pk_sightings,"
            " ADD COLUMN id VARCHAR(36) NOT NULL DEFAULT gen_random_uuid()::text"
        )
        op.execute(f"ALTER TABLE sightings ADD {_KEY_OF_ID}")
    else:
        kept = columns_of(op.get_bind(), "sightings")
        changed = {_FIRST: f"{_ID}{_FIRST}", _KEY: _KEY_OF_ID, _WITHOUT_ROWID: _WITH_ROWID}
        rows = f"SELECT {', '.join(kept)} FROM sightings ORDER BY device_id, at"  # noqa: S608 - our own names
        make_anew(op.get_bind(), "sightings", changed, kept, rows)
    op.create_index(_INDEX, "sightings", ["device_id", "at"])
