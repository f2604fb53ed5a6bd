"""Devices that are behind a change are found without looking at the others.

Revision ID: 0030_0023
"""

from __future__ import annotations

from alembic import op

revision = "0030_0023"
down_revision = "0029_0023"


def upgrade() -> None:
    """Add the index; versions change only as devices catch up, so check-ins leave it alone."""
    op.create_index("ix_check_ins_aims", "check_ins", ["tenant_id", "aims_version"])


def downgrade() -> None:
    """Take it away."""
    op.drop_index("ix_check_ins_aims", "check_ins")
