"""What nobody asks for takes no place: an index on names, entries for devices without a TPM, free room in wide tables.

Names are looked up and sorted in the list of devices (``inventory``) alone. Old programs run on without the index.

Revision ID: 0027
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0027"
down_revision = "0024"

_NAMES = "ix_devices_tenant_id_display_name"
_TPM = "ix_devices_tenant_id_tpm_ek_hash_state"
_TPM_COLUMNS = ["tenant_id", "tpm_ek_hash", "state"]
_WIDE = ("devices", "inventory")


def upgrade() -> None:
    """Take them away; pages on PostgreSQL fill as rows come and change."""
    has_tpm = text("tpm_ek_hash IS NOT NULL")
    op.drop_index(_NAMES, "devices")
    op.drop_index(_TPM, "devices")
    op.create_index(_TPM, "devices", _TPM_COLUMNS, sqlite_where=has_tpm, postgresql_where=has_tpm)
    _leave(85)


def downgrade() -> None:
    """Bring them back."""
    op.drop_index(_TPM, "devices")
    op.create_index(_TPM, "devices", _TPM_COLUMNS)
    op.create_index(_NAMES, "devices", ["tenant_id", "display_name"])
    _leave(50)


def _leave(filled: int) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _WIDE:
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {filled})")
