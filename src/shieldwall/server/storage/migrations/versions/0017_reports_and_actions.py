"""Reports that are fetched later, actions on machines, notes about devices, and more about who did something.

Revision ID: 0017
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, String, Text, text

revision = "0017"
down_revision = "0016"

_NOTHING = text("''")
_NO_NAMES = text("'[]'")


def upgrade() -> None:
    """Add tables and columns; of events from before nobody knows more than stands there."""
    op.create_table(
        "cached_reports",
        Column("tenant_id", String(36), ForeignKey("tenants.id"), primary_key=True),
        Column("id", String(128), primary_key=True),
        Column("report_name", String(128), nullable=False),
        Column("filter", Text(), nullable=False, server_default=_NOTHING),
        Column("selected", Text(), nullable=False, server_default=_NO_NAMES),
        Column("order_by", Text(), nullable=False, server_default=_NO_NAMES),
        Column("about", Text(), nullable=False, server_default=_NOTHING),
        Column("refreshed_at", BigInteger(), nullable=False),
        Column("expires_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_cached_reports_expires_at", "cached_reports", ["expires_at"])
    op.create_table(
        "export_jobs",
        Column("tenant_id", String(36), ForeignKey("tenants.id"), primary_key=True),
        Column("id", String(128), primary_key=True),
        Column("report_name", String(128), nullable=False),
        Column("filter", Text(), nullable=False, server_default=_NOTHING),
        Column("selected", Text(), nullable=False, server_default=_NO_NAMES),
        Column("search", Text(), nullable=False, server_default=_NOTHING),
        Column("file_format", String(8), nullable=False),
        Column("localization", String(64), nullable=False),
        Column("token", String(64), nullable=False),
        Column("requested_at", BigInteger(), nullable=False),
        Column("expires_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_export_jobs_expires_at", "export_jobs", ["expires_at"])
    op.create_index("uq_export_jobs_token", "export_jobs", ["token"], unique=True)
    op.create_table(
        "machine_actions",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("device_id", String(36), nullable=False),
        Column("device_name", String(256), nullable=False),
        Column("type", String(32), nullable=False),
        Column("requestor", String(256), nullable=False),
        Column("comment", Text(), nullable=False),
        Column("status", String(16), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("updated_at", BigInteger(), nullable=False),
        Column("cancelled_by", String(256)),
        Column("cancel_comment", Text()),
        Column("cancelled_at", BigInteger()),
        Column("former", Text(), nullable=False, server_default=_NOTHING),
    )
    op.create_index("ix_machine_actions_tenant_id_created_at_id", "machine_actions", ["tenant_id", "created_at", "id"])
    op.create_index("ix_machine_actions_device_id_status", "machine_actions", ["device_id", "status"])
    op.add_column("audit_events", Column("actor_id", String(64)))
    op.add_column("audit_events", Column("ip_address", String(45)))
    op.add_column("audit_events", Column("correlation_id", String(36)))
    op.create_index("ix_audit_events_tenant_id_activity_at", "audit_events", ["tenant_id", "activity", "at"])
    op.add_column("devices", Column("notes", Text(), nullable=False, server_default=_NOTHING))
    op.add_column("devices", Column("managed_name", String(256)))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("devices", "managed_name")
    op.drop_column("devices", "notes")
    op.drop_index("ix_audit_events_tenant_id_activity_at", "audit_events")
    for column in ("correlation_id", "ip_address", "actor_id"):
        op.drop_column("audit_events", column)
    for table in ("machine_actions", "export_jobs", "cached_reports"):
        op.drop_table(table)
