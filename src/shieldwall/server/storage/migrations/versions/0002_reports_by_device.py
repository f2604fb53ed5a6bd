"""Find the devices that point to a report, so that reports nobody points to can go.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_INDEX = "ix_check_ins_status_digest"


def upgrade() -> None:
    """Add the index, and let go of the reports that have gathered."""
    op.create_index(_INDEX, "check_ins", ["status_digest"])
    op.execute(
        "DELETE FROM status_documents WHERE NOT EXISTS"
        " (SELECT 1 FROM check_ins WHERE check_ins.status_digest = status_documents.digest)"
    )


def downgrade() -> None:
    """Take the index away."""
    op.drop_index(_INDEX, "check_ins")
