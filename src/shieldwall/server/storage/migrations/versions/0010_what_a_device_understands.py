"""Which protocol a device speaks: what it does not understand is left out of its target.

Revision ID: 0010
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; whoever understands more says so at the next check-in."""
    op.add_column("check_ins", Column("protocol", Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("check_ins", "protocol")
