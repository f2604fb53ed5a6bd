"""Remember for which devices an offboarding package was made, so that no other leaves unremarked in its name.

Revision ID: 0011
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column; of a package from before it is not known, and so it counts as made for all."""
    op.add_column("offboarding_packages", Column("device_ids", Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("offboarding_packages", "device_ids")
