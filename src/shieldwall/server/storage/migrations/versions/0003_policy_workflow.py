"""Why policies changed and in which order they count; filters, reusable settings, secrets and conflict rules.

Revision ID: 0003
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Text, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns and tables; what is there already stays and means what it meant."""
    op.add_column("tenants", Column("conflict_rules", Text(), nullable=False, server_default="{}"))
    op.add_column("policies", Column("priority", Integer()))
    op.add_column("policy_revisions", Column("reason", Text(), nullable=False, server_default=text("''")))
    op.add_column("policy_revisions", Column("description", Text(), nullable=False, server_default=text("''")))
    op.add_column("policy_revisions", Column("authored", LargeBinary()))
    op.create_table(
        "assignment_filters",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("description", Text(), nullable=False),
        Column("platform", String(32), nullable=False),
        Column("rule", Text(), nullable=False),
        Column("role_scope_tag_ids", Text(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("modified_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_assignment_filters_tenant_id_display_name", "assignment_filters", ["tenant_id", "display_name"])
    # SQLite cannot add a foreign key to a table that is there, so the table is made anew; nothing refers to it.
    with op.batch_alter_table("assignments") as table:
        table.add_column(Column("filter_id", String(36), nullable=True))
        table.add_column(Column("filter_type", String(16), nullable=False, server_default="none"))
        table.create_foreign_key("fk_assignments_filter_id", "assignment_filters", ["filter_id"], ["id"])
        table.create_index("ix_assignments_filter_id", ["filter_id"])
    op.create_table(
        "reusable_settings",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("description", Text(), nullable=False),
        Column("setting_definition_id", Text(), nullable=False),
        Column("setting_instance", LargeBinary(), nullable=False),
        Column("version", Integer(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("modified_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_reusable_settings_tenant_id_display_name", "reusable_settings", ["tenant_id", "display_name"])
    op.create_table(
        "policy_references",
        Column("policy_id", String(36), ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True),
        Column("reusable_setting_id", String(36), ForeignKey("reusable_settings.id"), primary_key=True),
    )
    op.create_index("ix_policy_references_reusable_setting_id", "policy_references", ["reusable_setting_id"])
    op.create_table(
        "secrets",
        Column("token", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("value", Text(), nullable=False),
    )


def downgrade() -> None:
    """Take them away; filters, reasons, secrets and priorities are lost, the signed revisions stay."""
    op.drop_table("secrets")
    op.drop_table("policy_references")
    op.drop_table("reusable_settings")
    with op.batch_alter_table("assignments") as table:
        table.drop_index("ix_assignments_filter_id")
        table.drop_constraint("fk_assignments_filter_id", type_="foreignkey")
        table.drop_column("filter_type")
        table.drop_column("filter_id")
    op.drop_table("assignment_filters")
    for column in ("authored", "description", "reason"):
        op.drop_column("policy_revisions", column)
    op.drop_column("policies", "priority")
    op.drop_column("tenants", "conflict_rules")
