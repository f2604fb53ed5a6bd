"""Who people and applications are, how they prove it, and what they may do.

Revision ID: 0013
"""

from __future__ import annotations

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add what is needed."""


def downgrade() -> None:
    """Take it away."""
