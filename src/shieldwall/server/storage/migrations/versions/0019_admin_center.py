"""How tenants stood over time, views that people keep, and policies that are not finished yet.

Revision ID: 0019
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, String, Text, UniqueConstraint

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the tables, empty: nobody counted before."""
    op.create_table(
        "fleet_samples",
        Column("tenant_id", String(36), ForeignKey("tenants.id"), primary_key=True),
        Column("at", BigInteger(), primary_key=True),
        Column("figures", Text(), nullable=False),
    )
    op.create_table(
        "saved_views",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("person_id", String(36), nullable=False),
        Column("page", String(64), nullable=False),
        Column("name", String(256), nullable=False),
        Column("query", Text(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        UniqueConstraint("tenant_id", "person_id", "page", "name"),
    )
    op.create_table(
        "unfinished_policies",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("person_id", String(36), nullable=False),
        Column("policy_id", String(36), nullable=True),
        Column("document", Text(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("updated_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_unfinished_policies_updated_at", "unfinished_policies", ["updated_at"])


def downgrade() -> None:
    """Take the tables away, and what people kept in them."""
    for table in ("unfinished_policies", "saved_views", "fleet_samples"):
        op.drop_table(table)
