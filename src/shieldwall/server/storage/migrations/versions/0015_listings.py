"""What listings are filtered and ordered by.

Revision ID: 0015
"""

from __future__ import annotations

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add what is needed."""


def downgrade() -> None:
    """Take it away."""
