"""Events on their way to others.

Revision ID: 0016
"""

from __future__ import annotations

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add what is needed."""


def downgrade() -> None:
    """Take it away."""
