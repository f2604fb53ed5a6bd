"""The first schema.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Text, UniqueConstraint

revision = "0001"
down_revision = None

_TABLES = (
    "tenants",
    "onboarding_packages",
    "devices",
    "check_ins",
    "check_in_answers",
    "target_documents",
    "status_documents",
    "used_nonces",
    "groups",
    "group_members",
    "policies",
    "policy_revisions",
    "assignments",
    "apps",
    "invitations",
    "sessions",
    "audit_events",
)


def upgrade() -> None:
    """Create every table. Times are milliseconds since 1970; the schema's convention names the constraints."""
    op.create_table(
        "tenants",
        Column("id", String(36), primary_key=True),
        Column("display_name", String(256), nullable=False),
        Column("domain", String(256), nullable=False, unique=True),
        Column("created_at", BigInteger(), nullable=False),
    )
    op.create_table(
        "onboarding_packages",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("key", LargeBinary(), nullable=False),
        Column("not_before", BigInteger(), nullable=False),
        Column("not_after", BigInteger(), nullable=False),
        Column("max_uses", Integer(), nullable=False),
        Column("uses", Integer(), nullable=False),
        Column("platforms", Text(), nullable=False),
        Column("tags", Text(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("revoked_at", BigInteger()),
    )
    op.create_table(
        "devices",
        Column("id", String(36), primary_key=True),
        Column("object_id", String(36), nullable=False, unique=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("registration", String(16), nullable=False),
        Column("trust_type", String(16)),
        Column("state", String(16), nullable=False),
        Column("os_type", String(32), nullable=False),
        Column("os_version", String(256), nullable=False),
        Column("architecture", String(256), nullable=False),
        Column("manufacturer", String(256), nullable=False),
        Column("model", String(256), nullable=False),
        Column("agent_version", String(256), nullable=False),
        Column("catalog_version", String(256), nullable=False),
        Column("providers", Text(), nullable=False),
        Column("managed_elsewhere", String(256)),
        Column("tags", Text(), nullable=False),
        Column("key_thumbprint", String(43), nullable=False, unique=True),
        Column("public_key", LargeBinary(), nullable=False),
        Column("certificate", Text(), nullable=False),
        Column("request_digest", String(64), nullable=False),
        Column("instance_id", String(32), nullable=False),
        Column("machine_id_hash", String(64)),
        Column("smbios_uuid_hash", String(64)),
        Column("package_id", String(36), ForeignKey("onboarding_packages.id")),
        Column("registered_at", BigInteger(), nullable=False),
        Column("retired_at", BigInteger()),
    )
    op.create_index("ix_devices_tenant_id_display_name", "devices", ["tenant_id", "display_name"])
    op.create_table(
        "check_ins",
        Column("device_id", String(36), ForeignKey("devices.id"), primary_key=True),
        Column("epoch", BigInteger(), nullable=False),
        Column("seq", BigInteger(), nullable=False),
        Column("request_digest", String(64)),
        Column("last_check_in", BigInteger()),
        Column("target_digest", String(64)),
        Column("facts_digest", String(64)),
        Column("status_digest", String(64)),
        Column("status_at", BigInteger()),
        Column("sync_requested_at", BigInteger()),
    )
    op.create_index("ix_check_ins_target_digest_status_digest", "check_ins", ["target_digest", "status_digest"])
    op.create_table(
        "check_in_answers",
        Column("device_id", String(36), ForeignKey("devices.id"), primary_key=True),
        Column("seq", BigInteger(), nullable=False),
        Column("body", LargeBinary(), nullable=False),
    )
    op.create_table(
        "target_documents",
        Column("digest", String(64), primary_key=True),
        Column("body", LargeBinary(), nullable=False),
    )
    op.create_table(
        "status_documents",
        Column("digest", String(64), primary_key=True),
        Column("body", LargeBinary(), nullable=False),
    )
    op.create_table(
        "used_nonces",
        Column("digest", String(64), primary_key=True),
        Column("expires_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_used_nonces_expires_at", "used_nonces", ["expires_at"])
    op.create_table(
        "groups",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("description", Text(), nullable=False),
        Column("mail_nickname", String(64), nullable=False),
        Column("membership_rule", Text()),
        Column("created_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_groups_tenant_id_display_name", "groups", ["tenant_id", "display_name"])
    op.create_table(
        "group_members",
        Column("group_id", String(36), ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
        Column("device_id", String(36), ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("ix_group_members_device_id", "group_members", ["device_id"])
    op.create_table(
        "policies",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("name", String(256), nullable=False),
        Column("description", Text(), nullable=False),
        Column("platforms", String(128), nullable=False),
        Column("technologies", String(128), nullable=False),
        Column("template_id", String(64), nullable=False),
        Column("role_scope_tag_ids", Text(), nullable=False),
        Column("settings", LargeBinary(), nullable=False),
        Column("revision", Integer(), nullable=False),
        Column("digest", String(64), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("modified_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_policies_tenant_id_name", "policies", ["tenant_id", "name"])
    op.create_table(
        "policy_revisions",
        Column("digest", String(64), primary_key=True),
        Column("policy_id", String(36), nullable=False),
        Column("revision", Integer(), nullable=False),
        Column("length", Integer(), nullable=False),
        Column("envelope", LargeBinary(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("created_by", String(256), nullable=False),
        UniqueConstraint("policy_id", "revision"),
    )
    op.create_table(
        "assignments",
        Column("policy_id", String(36), ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True),
        Column("target", String(64), primary_key=True),
        Column("kind", String(16), nullable=False),
        Column("group_id", String(36), ForeignKey("groups.id")),
    )
    op.create_index("ix_assignments_group_id", "assignments", ["group_id"])
    op.create_table(
        "apps",
        Column("client_id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("secret_hash", Text(), nullable=False),
        Column("permissions", Text(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("expires_at", BigInteger(), nullable=False),
    )
    op.create_table(
        "invitations",
        Column("code_digest", String(64), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("expires_at", BigInteger(), nullable=False),
        Column("used_at", BigInteger()),
    )
    op.create_table(
        "sessions",
        Column("token_digest", String(64), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", String(256), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("last_seen_at", BigInteger(), nullable=False),
        Column("expires_at", BigInteger(), nullable=False),
    )
    op.create_table(
        "audit_events",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("at", BigInteger(), nullable=False),
        Column("actor", String(256), nullable=False),
        Column("activity", String(128), nullable=False),
        Column("object_kind", String(64), nullable=False),
        Column("object_id", String(128), nullable=False),
        Column("details", Text(), nullable=False),
    )
    op.create_index("ix_audit_events_tenant_id_at", "audit_events", ["tenant_id", "at"])


def downgrade() -> None:
    """Drop every table, those that refer to others first."""
    for table in reversed(_TABLES):
        op.drop_table(table)
