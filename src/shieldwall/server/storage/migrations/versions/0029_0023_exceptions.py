"""Indexes of the list of devices hold the few that are not like the others; check-ins leave less of a page free.

Old programs run on without what is taken away: what they sort by state or exposure takes them longer meanwhile.

Revision ID: 0029_0023
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0029_0023"
down_revision = "0028"

_FORMER = {
    "ix_inventory_by_exposure": ["tenant_id", "exposure", "device_id"],
    "ix_inventory_impaired": ["tenant_id", "impaired", "name_key", "device_id"],
    "ix_inventory_by_state": ["tenant_id", "state", "device_id"],
}
_EXCEPTIONS = {
    "ix_inventory_exposed": (["tenant_id", "exposure", "device_id"], "exposure > 0"),
    "ix_inventory_troubled": (["tenant_id", "impaired", "name_key", "device_id"], "impaired"),
    "ix_inventory_other_states": (["tenant_id", "state", "device_id"], "state <> 'active'"),
}
_ON_SQLITE = {"impaired": "impaired = 1"}
"""As the queries there write it: SQLite takes an index of some rows where it is said word for word."""


def upgrade() -> None:
    """Make the new ones, and take the former away. A table that is full gets its pages filled as rows change."""
    for name, (columns, which) in _EXCEPTIONS.items():
        on_sqlite = text(_ON_SQLITE.get(which, which))
        op.create_index(name, "inventory", columns, sqlite_where=on_sqlite, postgresql_where=text(which))
    for name in _FORMER:
        op.drop_index(name, "inventory")
    _leave(85)


def downgrade() -> None:
    """Bring the former ones back."""
    for name, columns in _FORMER.items():
        op.create_index(name, "inventory", columns)
    for name in _EXCEPTIONS:
        op.drop_index(name, "inventory")
    _leave(50)


def _leave(filled: int) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE check_ins SET (fillfactor = {filled})")
