"""Devices that said before this version that somebody else manages them: they named no kind, so it counts as an MDM.

Revision ID: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Give them the code that their next facts would."""
    op.execute(
        "UPDATE devices SET manager = 'mdm', enrollment_code = 3"
        " WHERE managed_elsewhere IS NOT NULL AND manager IS NULL AND enrollment_code = 1"
    )


def downgrade() -> None:
    """Nothing was added: the columns came with 0004 and go with it."""
