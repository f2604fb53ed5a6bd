"""Reports that are kept, and actions on machines.

Revision ID: 0017
"""

from __future__ import annotations

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add what is needed."""


def downgrade() -> None:
    """Take it away."""
