"""Events on their way to others: the outbox, who receives from it, what was delivered, and how far the streams are.

What happened before is in the audit trail and is not sent to anybody.

Revision ID: 0016
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String, Text, text

revision = "0016"
down_revision = "0015"

_UUID = String(36)
_NOTHING = text("''")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "outbox",
        Column("sequence", BigInteger(), primary_key=True, autoincrement=False),
        Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
        Column("id", _UUID, nullable=False),
        Column("at", BigInteger(), nullable=False),
        Column("kind", String(128), nullable=False),
        Column("details", Text(), nullable=False),
    )
    op.create_index("ix_outbox_tenant_id_sequence", "outbox", ["tenant_id", "sequence"])
    op.create_index("ix_outbox_id", "outbox", ["id"])
    op.create_table(
        "receivers",
        Column("id", _UUID, primary_key=True),
        Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
        Column("sort", String(16), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("url", Text(), nullable=False),
        Column("event_kinds", Text(), nullable=False),
        Column("options", Text(), nullable=False),
        Column("secret", LargeBinary(), nullable=False),
        Column("former_secret", LargeBinary()),
        Column("former_until", BigInteger()),
        Column("enabled", Boolean(), nullable=False),
        Column("switched_off_because", Text(), nullable=False, server_default=_NOTHING),
        Column("created_at", BigInteger(), nullable=False),
        Column("created_by", String(256), nullable=False),
        Column("modified_at", BigInteger(), nullable=False),
        Column("expires_at", BigInteger()),
        Column("cursor", BigInteger(), nullable=False),
        Column("missed", Integer(), nullable=False, server_default="0"),
        Column("failures", Integer(), nullable=False, server_default="0"),
        Column("failing_since", BigInteger()),
        Column("next_attempt_at", BigInteger()),
        Column("last_success_at", BigInteger()),
        Column("last_failure_at", BigInteger()),
        Column("last_failure", Text(), nullable=False, server_default=_NOTHING),
    )
    op.create_index("ix_receivers_tenant_id", "receivers", ["tenant_id"])
    op.create_table(
        "deliveries",
        Column("receiver_id", _UUID, ForeignKey("receivers.id", ondelete="CASCADE"), primary_key=True),
        Column("event_id", _UUID, primary_key=True),
        Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
        Column("sequence", BigInteger(), nullable=False),
        Column("event_kind", String(128), nullable=False),
        Column("state", String(16), nullable=False),
        Column("attempts", Integer(), nullable=False),
        Column("status", Integer()),
        Column("cause", Text(), nullable=False),
        Column("first_at", BigInteger(), nullable=False),
        Column("last_at", BigInteger(), nullable=False),
        Column("milliseconds", Integer(), nullable=False),
    )
    op.create_index("ix_deliveries_receiver_id_sequence", "deliveries", ["receiver_id", "sequence"])
    op.create_table(
        "stream_cursors",
        Column("tenant_id", _UUID, ForeignKey("tenants.id"), primary_key=True),
        Column("stream", String(64), primary_key=True),
        Column("cursor", BigInteger(), nullable=False),
        Column("missed", Integer(), nullable=False, server_default="0"),
        Column("moved_at", BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Take them away; what was still to be delivered never is."""
    for table in ("stream_cursors", "deliveries", "receivers", "outbox"):
        op.drop_table(table)
