"""The audit trail by whoever acted, so that somebody's acts are found at once however long it is.

Revision ID: 0022
"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"

_NAME = "ix_audit_events_tenant_id_actor_at"


def upgrade() -> None:
    """Add the index."""
    op.create_index(_NAME, "audit_events", ["tenant_id", "actor", "at"])


def downgrade() -> None:
    """Take it away."""
    op.drop_index(_NAME, "audit_events")
