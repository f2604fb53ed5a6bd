"""Devices that are asked to check in are found without looking at the others.

Revision ID: 0028
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0028"
down_revision = "0027"

_ASKED = text("sync_requested_at IS NOT NULL")


def upgrade() -> None:
    """Add the index; of a fleet at rest it is empty."""
    op.create_index(
        "ix_check_ins_asked",
        "check_ins",
        ["sync_requested_at", "device_id"],
        sqlite_where=_ASKED,
        postgresql_where=_ASKED,
    )


def downgrade() -> None:
    """Take it away."""
    op.drop_index("ix_check_ins_asked", "check_ins")
