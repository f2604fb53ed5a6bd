"""Tables, the same on SQLite and PostgreSQL. Alembic migrations lead here; a test holds the two equal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A UTC time kept as milliseconds since 1970: compares, sorts and travels alike on both engines."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn an aware time into milliseconds."""
        return None if value is None else (value - _EPOCH) // timedelta(milliseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as above
        """Turn milliseconds into an aware time."""
        return None if value is None else _EPOCH + timedelta(milliseconds=value)


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_UUID: Final = String(36)
_DIGEST: Final = String(64)
_NAME: Final = String(256)

tenants: Final = Table(
    "tenants",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("display_name", _NAME, nullable=False),
    Column("domain", _NAME, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
)

devices: Final = Table(
    "devices",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("object_id", _UUID, nullable=False, unique=True),
    Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", _NAME, nullable=False),
    Column("registration", String(16), nullable=False),
    Column("trust_type", String(16)),
    Column("state", String(16), nullable=False),
    Column("os_type", String(32), nullable=False),
    Column("os_version", _NAME, nullable=False),
    Column("architecture", _NAME, nullable=False),
    Column("manufacturer", _NAME, nullable=False),
    Column("model", _NAME, nullable=False),
    Column("agent_version", _NAME, nullable=False),
    Column("catalog_version", _NAME, nullable=False),
    Column("providers", Text, nullable=False),
    Column("managed_elsewhere", _NAME),
    Column("tags", Text, nullable=False),
    Column("key_thumbprint", String(43), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("request_digest", _DIGEST, nullable=False),
    Column("instance_id", String(32), nullable=False),
    Column("machine_id_hash", _DIGEST),
    Column("smbios_uuid_hash", _DIGEST),
    Column("package_id", _UUID, ForeignKey("onboarding_packages.id")),
    Column("registered_at", Moment, nullable=False),
    Column("retired_at", Moment),
    Index(None, "tenant_id", "display_name"),
)

check_ins: Final = Table(
    "check_ins",
    metadata,
    Column("device_id", _UUID, ForeignKey("devices.id"), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("request_digest", _DIGEST),
    Column("last_check_in", Moment),
    Column("target_digest", _DIGEST),
    Column("facts_digest", _DIGEST),
    Column("status_digest", _DIGEST),
    Column("status_at", Moment),
    Column("sync_requested_at", Moment),
    Index(None, "target_digest", "status_digest"),
    Index(None, "status_digest"),
)

check_in_answers: Final = Table(
    "check_in_answers",
    metadata,
    Column("device_id", _UUID, ForeignKey("devices.id"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

target_documents: Final = Table(
    "target_documents",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

status_documents: Final = Table(
    "status_documents",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

onboarding_packages: Final = Table(
    "onboarding_packages",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", _NAME, nullable=False),
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
    Column("digest", _DIGEST, primary_key=True),
    Column("expires_at", Moment, nullable=False, index=True),
)

groups: Final = Table(
    "groups",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", _NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("mail_nickname", String(64), nullable=False),
    Column("membership_rule", Text),
    Column("created_at", Moment, nullable=False),
    Index(None, "tenant_id", "display_name"),
)

group_members: Final = Table(
    "group_members",
    metadata,
    Column("group_id", _UUID, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("device_id", _UUID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True, index=True),
)

policies: Final = Table(
    "policies",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("platforms", String(128), nullable=False),
    Column("technologies", String(128), nullable=False),
    Column("template_id", String(64), nullable=False),
    Column("role_scope_tag_ids", Text, nullable=False),
    Column("settings", LargeBinary, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("digest", _DIGEST, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Index(None, "tenant_id", "name"),
)

policy_revisions: Final = Table(
    "policy_revisions",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("policy_id", _UUID, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("length", Integer, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", _NAME, nullable=False),
    UniqueConstraint("policy_id", "revision"),
)

assignments: Final = Table(
    "assignments",
    metadata,
    Column("policy_id", _UUID, ForeignKey("policies.id", ondelete="CASCADE"), primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("group_id", _UUID, ForeignKey("groups.id"), index=True),
)

apps: Final = Table(
    "apps",
    metadata,
    Column("client_id", _UUID, primary_key=True),
    Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", _NAME, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

invitations: Final = Table(
    "invitations",
    metadata,
    Column("code_digest", _DIGEST, primary_key=True),
    Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", _NAME, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("token_digest", _DIGEST, primary_key=True),
    Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", _NAME, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

audit_events: Final = Table(
    "audit_events",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("tenant_id", _UUID, ForeignKey("tenants.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", _NAME, nullable=False),
    Column("activity", String(128), nullable=False),
    Column("object_kind", String(64), nullable=False),
    Column("object_id", String(128), nullable=False),
    Column("details", Text, nullable=False),
    Index(None, "tenant_id", "at"),
)
