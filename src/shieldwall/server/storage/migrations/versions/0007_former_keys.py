"""Keep the public half of keys that a device gave up, so that a repeat of the very request can still be verified.

Revision ID: 0007
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; keys spent before have none, and nothing of theirs is repeated."""
    op.add_column("spent_keys", Column("public_key", LargeBinary()))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("spent_keys", "public_key")
