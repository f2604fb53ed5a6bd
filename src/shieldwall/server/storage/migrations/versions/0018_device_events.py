"""What happened on devices, as they tell it.

Revision ID: 0018
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Text

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the table; what happened before was told to nobody."""
    op.create_table(
        "device_events",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("device_id", String(36), ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
        Column("at", BigInteger(), nullable=False),
        Column("received_at", BigInteger(), nullable=False),
        Column("kind", String(64), nullable=False),
        Column("severity", String(16), nullable=False),
        Column("title", String(256), nullable=False),
        Column("subject", Text(), nullable=False),
        Column("details", Text(), nullable=False),
        Column("times", Integer(), nullable=False),
    )
    op.create_index("ix_device_events_tenant_id_at", "device_events", ["tenant_id", "at"])
    op.create_index("ix_device_events_device_id_at", "device_events", ["device_id", "at"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("device_events")
