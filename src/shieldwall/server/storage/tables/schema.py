"""Tables, the same on SQLite and PostgreSQL. Alembic migrations lead here; a test holds the two equal."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from shieldwall.server.storage.tables import (
    access_schema,
    aims_schema,
    change_schema,
    change_triggers,
    events_schema,
    fleet_schema,
    fleet_triggers,
    identity_schema,
    portal_schema,
    report_schema,
    twin_schema,
)
from shieldwall.server.storage.tables.columns import NAME, UUID, Moment, metadata, own_number
from shieldwall.server.storage.tables.device_schema import check_in_answers, check_ins, devices
from shieldwall.server.storage.tables.digests import DIGEST
from shieldwall.server.storage.tables.inventory_schema import device_texts, inventory
from shieldwall.server.storage.tables.tenant_numbers import stand_beside

__all__ = [
    "Moment",
    "access_schema",
    "aims_schema",
    "change_schema",
    "change_triggers",
    "check_in_answers",
    "check_ins",
    "device_texts",
    "devices",
    "events_schema",
    "fleet_schema",
    "fleet_triggers",
    "identity_schema",
    "inventory",
    "metadata",
    "portal_schema",
    "report_schema",
    "twin_schema",
]

tenants: Final = Table(
    "tenants",
    metadata,
    Column("id", UUID, nullable=False, unique=True),
    Column("display_name", NAME, nullable=False),
    Column("domain", NAME, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("conflict_rules", Text, nullable=False, server_default="{}"),
    Column("enforcement_scope", Text, nullable=False, server_default="{}"),
    Column("tamper_protection", Text, nullable=False, server_default="{}"),
    Column("clean_up", Text, nullable=False, server_default="{}"),
    Column("aims_version", BigInteger, nullable=False, server_default="0"),
    own_number(),
)
stand_beside(tenants)

target_documents: Final = Table(
    "target_documents",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

status_documents: Final = Table(
    "status_documents",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("trouble", Boolean, nullable=False, server_default=false()),
    Column("repaired", Integer, nullable=False, server_default="0"),
    Column("drifted", Integer, nullable=False, server_default="0"),
    Column("gravest", String(16), nullable=False, server_default="notApplicable"),
    Column("target", DIGEST),
    Column("states", String(64), nullable=False, server_default=text("''")),
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
    Column("approval", String(8), nullable=False, server_default="auto"),
    Column("attestation", String(16), nullable=False, server_default="optional"),
    Column("join_type", String(16), nullable=False, server_default="synthetic"),
    Column("created_by", NAME, nullable=False, server_default=text("''")),
)

offboarding_packages: Final = Table(
    "offboarding_packages",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("platforms", Text, nullable=False),
    Column("not_after", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", NAME, nullable=False),
    Column("device_ids", Text, nullable=False, server_default="[]"),
)

used_nonces: Final = Table(
    "used_nonces",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("digest", DIGEST, primary_key=True),
    Column("expires_at", Moment, nullable=False, index=True),
)

groups: Final = Table(
    "groups",
    metadata,
    Column("id", UUID, nullable=False, unique=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("mail_nickname", String(64), nullable=False),
    Column("membership_rule", Text),
    Column("created_at", Moment, nullable=False),
    Column("processing_state", String(8), nullable=False, server_default="On"),
    own_number(),
    Index(None, "tenant_id", "display_name"),
)

group_members: Final = Table(
    "group_members",
    metadata,
    Column("group_number", Integer, ForeignKey("groups.number", ondelete="CASCADE"), primary_key=True),
    Column("device_number", Integer, ForeignKey("devices.number", ondelete="CASCADE"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)

membership_events: Final = Table(
    "membership_events",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("group_id", UUID, nullable=False),
    Column("device_id", UUID, nullable=False),
    Column("at", Moment, nullable=False),
    Column("joined", Boolean, nullable=False),
    Column("cause", Text, nullable=False),
    Index(None, "group_id", "at"),
    Index(None, "device_id", "at"),
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
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
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
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
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
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
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
    Column("permissions", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("object_id", UUID, nullable=False, unique=True),
    Column("delegated", Text, nullable=False, server_default=text("'[]'")),
    Column("redirect_uris", Text, nullable=False, server_default=text("'[]'")),
    Column("is_public", Boolean, nullable=False, server_default=false()),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("requires_proof", Boolean, nullable=False, server_default=false()),
    Column("valid_from", Moment, nullable=False),
    Index(None, "tenant_id", "display_name"),
)

invitations: Final = Table(
    "invitations",
    metadata,
    Column("code_digest", DIGEST, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
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
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("proved_at", Moment, nullable=False),
    Column("method", String(16), nullable=False),
    Column("client", NAME, nullable=False, server_default=text("''")),
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
    Column("actor_id", String(64)),
    Column("ip_address", String(45)),
    Column("correlation_id", UUID),
    Index(None, "tenant_id", "at"),
    Index(None, "tenant_id", "activity", "at"),
    Index(None, "tenant_id", "actor", "at"),
    Index(None, "object_id", "at"),
)
