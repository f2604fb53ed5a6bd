"""What changed in the directory, for those who follow it.

Revision ID: 0014
"""

from __future__ import annotations

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add what is needed."""


def downgrade() -> None:
    """Take it away."""
