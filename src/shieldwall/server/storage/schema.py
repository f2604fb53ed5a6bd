"""Tables, the same on SQLite and PostgreSQL. Alembic migrations lead here; a test holds the two equal."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shieldwall.server.storage.columns import DIGEST, NAME, UUID, Moment, metadata

__all__ = ["Moment", "metadata"]

tenants: Final = Table(
    "tenants",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("display_name", NAME, nullable=False),
    Column("domain", NAME, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("conflict_rules", Text, nullable=False, server_default="{}"),
)

devices: Final = Table(
    "devices",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("object_id", UUID, nullable=False, unique=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("registration", String(16), nullable=False),
    Column("trust_type", String(16)),
    Column("state", String(16), nullable=False),
    Column("os_type", String(32), nullable=False),
    Column("os_version", NAME, nullable=False),
    Column("architecture", NAME, nullable=False),
    Column("manufacturer", NAME, nullable=False),
    Column("model", NAME, nullable=False),
    Column("agent_version", NAME, nullable=False),
    Column("catalog_version", NAME, nullable=False),
    Column("providers", Text, nullable=False),
    Column("managed_elsewhere", NAME),
    Column("tags", Text, nullable=False),
    Column("key_thumbprint", String(43), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("request_digest", DIGEST, nullable=False),
    Column("instance_id", String(32), nullable=False),
    Column("machine_id_hash", DIGEST),
    Column("smbios_uuid_hash", DIGEST),
    Column("package_id", UUID, ForeignKey("onboarding_packages.id")),
    Column("registered_at", Moment, nullable=False),
    Column("retired_at", Moment),
    Index(None, "tenant_id", "display_name"),
)

check_ins: Final = Table(
    "check_ins",
    metadata,
    Column("device_id", UUID, ForeignKey("devices.id"), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("request_digest", DIGEST),
    Column("last_check_in", Moment),
    Column("target_digest", DIGEST),
    Column("facts_digest", DIGEST),
    Column("status_digest", DIGEST),
    Column("status_at", Moment),
    Column("sync_requested_at", Moment),
    Index(None, "target_digest", "status_digest"),
    Index(None, "status_digest"),
)

check_in_answers: Final = Table(
    "check_in_answers",
    metadata,
    Column("device_id", UUID, ForeignKey("devices.id"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

target_documents: Final = Table(
    "target_documents",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

status_documents: Final = Table(
    "status_documents",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

onboarding_packages: Final = Table(
    "onboarding_packages",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("not_after", Moment, nullable=False),
    Column("max_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("platforms", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)

used_nonces: Final = Table(
    "used_nonces",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("expires_at", Moment, nullable=False, index=True),
)

groups: Final = Table(
    "groups",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("mail_nickname", String(64), nullable=False),
    Column("membership_rule", Text),
    Column("created_at", Moment, nullable=False),
    Index(None, "tenant_id", "display_name"),
)

group_members: Final = Table(
    "group_members",
    metadata,
    Column("group_id", UUID, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("device_id", UUID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True, index=True),
)

policies: Final = Table(
    "policies",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("platforms", String(128), nullable=False),
    Column("technologies", String(128), nullable=False),
    Column("template_id", String(64), nullable=False),
    Column("role_scope_tag_ids", Text, nullable=False),
    Column("settings", LargeBinary, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Column("priority", Integer),
    Index(None, "tenant_id", "name"),
)

policy_revisions: Final = Table(
    "policy_revisions",
    metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("policy_id", UUID, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("length", Integer, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", NAME, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("authored", LargeBinary),
    UniqueConstraint("policy_id", "revision"),
)

assignment_filters: Final = Table(
    "assignment_filters",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("platform", String(32), nullable=False),
    Column("rule", Text, nullable=False),
    Column("role_scope_tag_ids", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Index(None, "tenant_id", "display_name"),
)

assignments: Final = Table(
    "assignments",
    metadata,
    Column("policy_id", UUID, ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("group_id", UUID, ForeignKey("groups.id"), index=True),
    Column("filter_id", UUID, ForeignKey("assignment_filters.id"), index=True),
    Column("filter_type", String(16), nullable=False, server_default="none"),
)

reusable_settings: Final = Table(
    "reusable_settings",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("setting_definition_id", Text, nullable=False),
    Column("setting_instance", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Index(None, "tenant_id", "display_name"),
)

policy_references: Final = Table(
    "policy_references",
    metadata,
    Column("policy_id", UUID, ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True),
    Column("reusable_setting_id", UUID, ForeignKey("reusable_settings.id"), primary_key=True, index=True),
)

secrets: Final = Table(
    "secrets",
    metadata,
    Column("token", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("value", Text, nullable=False),
)

apps: Final = Table(
    "apps",
    metadata,
    Column("client_id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

invitations: Final = Table(
    "invitations",
    metadata,
    Column("code_digest", DIGEST, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("token_digest", DIGEST, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

audit_events: Final = Table(
    "audit_events",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("activity", String(128), nullable=False),
    Column("object_kind", String(64), nullable=False),
    Column("object_id", String(128), nullable=False),
    Column("details", Text, nullable=False),
    Index(None, "tenant_id", "at"),
)
