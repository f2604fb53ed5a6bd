"""As of which change a device's target and groups are right, so that a change need not touch every device.

Revision ID: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_TENANT = "tenants.id"
_UUID = sa.String(36)


def upgrade() -> None:
    """Add versions, what they stand for, and how far the server got by itself."""
    for table in ("tenants", "check_ins"):
        op.add_column(table, sa.Column("aims_version", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "aims_changes",
        sa.Column("tenant_id", _UUID, sa.ForeignKey(_TENANT), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("object_id", _UUID),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(256), nullable=False),
    )
    op.create_table(
        "catching_up",
        sa.Column("tenant_id", _UUID, sa.ForeignKey(_TENANT), primary_key=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("behind", sa.BigInteger()),
        sa.Column("place", _UUID, nullable=False),
        sa.Column("start", _UUID, nullable=False),
        sa.Column("is_second_half", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("holder", _UUID),
        sa.Column("held_until", sa.BigInteger()),
    )


def downgrade() -> None:
    """Take them away; nobody may be behind then."""
    op.drop_table("catching_up")
    op.drop_table("aims_changes")
    for table in ("check_ins", "tenants"):
        op.drop_column(table, "aims_version")
