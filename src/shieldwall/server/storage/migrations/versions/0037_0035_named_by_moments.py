"""Where a device was seen may be noted without an id; on SQLite, what it reported lies in its key's order.

Revision ID: 0037_0035
"""

from __future__ import annotations

from alembic import op

from shieldwall.server.storage.migrations.made_anew import columns_of, make_anew

revision = "0037_0035"
down_revision = "0036_0035"

_FORMER = "\tid VARCHAR(36) NOT NULL"
_PRESENT = "\tid VARCHAR(36) DEFAULT (lower(hex(randomblob(16)))) NOT NULL"
_WITH_ROWID = "REFERENCES tenants (number)\n)"
_WITHOUT_ROWID = f"{_WITH_ROWID}\n WITHOUT ROWID"


def upgrade() -> None:
    """Give ids to sightings that come without; keep the rows of reports in their key alone."""
    _change("gen_random_uuid()::text", (_FORMER, _PRESENT), (_WITH_ROWID, _WITHOUT_ROWID))


def downgrade() -> None:
    """Have ids given by who notes a sighting; keep the rows of reports beside their key."""
    _change(None, (_PRESENT, _FORMER), (_WITHOUT_ROWID, _WITH_ROWID))


def _change(given: str | None, ids: tuple[str, str], kept: tuple[str, str]) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE sightings ALTER COLUMN id {f'SET DEFAULT {given}' if given else 'DROP DEFAULT'}")
        return
    for table, (before, after) in (("sightings", ids), ("device_reports", kept)):
        columns = columns_of(op.get_bind(), table)
        rows = f"SELECT {', '.join(columns)} FROM {table} ORDER BY device_id, at"  # noqa: S608 - our own names
        make_anew(op.get_bind(), table, {before: after}, columns, rows)
