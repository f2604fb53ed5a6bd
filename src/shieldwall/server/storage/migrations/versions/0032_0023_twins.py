"""Devices whose hardware another one names as well are marked, and not counted each time.

Revision ID: 0032_0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shieldwall.server.storage import twin_schema

revision = "0032_0023"
down_revision = "0031_0023"


def upgrade() -> None:
    """Mark those that come from now on, then those that are there: programs that run may write in between no more."""
    op.create_table(
        "device_twins",
        sa.Column("device_id", sa.String(36)),
        sa.Column(
            "tenant_id", sa.String(36), sa.ForeignKey("tenants.id", name="fk_device_twins_tenant_id"), nullable=False
        ),
        sa.PrimaryKeyConstraint("device_id", name="pk_device_twins"),
    )
    op.create_index("ix_device_twins_tenant_id", "device_twins", ["tenant_id", "device_id"])
    twin_schema.create(op.get_bind())
    twin_schema.fill(op.get_bind())


def downgrade() -> None:
    """Mark none."""
    twin_schema.drop(op.get_bind())
    op.drop_table("device_twins")
