"""Tables of devices: who they are, how they came, what happened to them, and the row that a check-in touches."""

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
    false,
    text,
)

from shieldwall.server.storage.tables.columns import NAME, SOME_ROOM, UUID, Moment, metadata, own_number
from shieldwall.server.storage.tables.digests import DIGEST
from shieldwall.server.storage.tables.tenant_numbers import tenant_column

_NOTHING: Final = text("''")
_HAS_TPM: Final = text("tpm_ek_hash IS NOT NULL")
"""Whoever has none is looked for by none."""

devices: Final = Table(
    "devices",
    metadata,
    Column("id", UUID, nullable=False, unique=True),
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
    Column("state_reason", String(64)),
    Column("enrollment_code", Integer, nullable=False, server_default="1"),
    Column("manager", String(32)),
    Column("unsuitable", String(32)),
    Column("is_domain_controller", Boolean, nullable=False, server_default=false()),
    Column("device_category", NAME, nullable=False, server_default=_NOTHING),
    Column("device_ownership", String(16), nullable=False, server_default="Company"),
    Column("enrollment_profile_name", NAME, nullable=False, server_default=_NOTHING),
    Column("mdm_app_id", String(64)),
    Column("profile_type", String(32), nullable=False, server_default="RegisteredDevice"),
    Column("extension_attributes", Text, nullable=False, server_default="{}"),
    Column("physical_ids", Text, nullable=False, server_default="[]"),
    Column("system_labels", Text, nullable=False, server_default="[]"),
    Column("is_rooted", Boolean),
    Column("attestation_level", String(8), nullable=False, server_default="none"),
    Column("key_protection", String(16), nullable=False, server_default="software"),
    Column("tpm_ek_hash", DIGEST),
    Column("certificate_expires_at", Moment),
    Column("replaces", UUID),
    Column("troubleshooting_until", Moment),
    Column("notes", Text, nullable=False, server_default=_NOTHING),
    Column("managed_name", NAME),
    own_number(),
    Index(None, "tenant_id", "machine_id_hash", "state"),
    Index(None, "tenant_id", "smbios_uuid_hash", "state"),
    Index(
        "ix_devices_tenant_id_tpm_ek_hash_state",
        "tenant_id",
        "tpm_ek_hash",
        "state",
        sqlite_where=_HAS_TPM,
        postgresql_where=_HAS_TPM,
    ),
    Index(None, "package_id"),
    Index("ix_devices_traits", "id", "state", "os_type", "catalog_version"),
    postgresql_with=SOME_ROOM,
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
    tenant_column(),
    Column("protocol", Integer, nullable=False, server_default="1"),
    Column("aims_version", BigInteger, nullable=False, server_default="0"),
    Index(None, "tenant_id", "last_check_in", "device_id"),
    Index("ix_check_ins_standing", "tenant_id", "target_digest", "status_digest", "device_id"),
    Index(
        "ix_check_ins_asked",
        "sync_requested_at",
        "device_id",
        sqlite_where=text("sync_requested_at IS NOT NULL"),
        postgresql_where=text("sync_requested_at IS NOT NULL"),
    ),
    Index(None, "tenant_id", "status_digest"),
    Index("ix_check_ins_aims", "tenant_id", "aims_version"),
    postgresql_with=SOME_ROOM,
)

check_in_answers: Final = Table(
    "check_in_answers",
    metadata,
    Column("device_id", UUID, ForeignKey("devices.id"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    tenant_column(),
)

spent_keys: Final = Table(
    "spent_keys",
    metadata,
    Column("thumbprint", String(43), primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("device_id", UUID, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("spent_at", Moment, nullable=False),
    Column("public_key", LargeBinary),
)

registrations: Final = Table(
    "registrations",
    metadata,
    Column("device_id", UUID, primary_key=True),
    Column("object_id", UUID, nullable=False),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("trust_type", String(16), nullable=False),
    Column("os_type", String(32), nullable=False),
    Column("os_version", NAME, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("manager", String(32)),
    Column("public_key", LargeBinary, nullable=False),
    Column("key_digest", DIGEST, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("source", String(16), nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("uq_registrations_object_id", "object_id", unique=True),
    Index("uq_registrations_tenant_id_key_digest", "tenant_id", "key_digest", unique=True),
)

trusted_authorities: Final = Table(
    "trusted_authorities",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("value", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "tenant_id", "kind"),
)

sightings: Final = Table(
    "sightings",
    metadata,
    tenant_column(),
    Column("device_id", UUID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("instance_id", String(32), nullable=False),
    Column("boot_id", NAME, nullable=False),
    Column("request_digest", DIGEST, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

attestation_challenges: Final = Table(
    "attestation_challenges",
    metadata,
    Column("device_id", UUID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("offer", Text, nullable=False),
    Column("challenge", Text, nullable=False),
    Column("secret_digest", DIGEST, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

device_reports: Final = Table(
    "device_reports",
    metadata,
    Column("device_id", UUID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("at", Moment, primary_key=True),
    tenant_column(),
    Column("states", String(64), nullable=False),
    Column("repaired", Integer, nullable=False),
    Column("drifted", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""What a device reported each time that it reported something else; ``states`` as in ``device_reports``."""

alerts: Final = Table(
    "alerts",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("device_id", UUID),
    Column("kind", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", NAME, nullable=False),
    Column("details", Text, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("times", Integer, nullable=False),
    Column("resolved_at", Moment),
    Column("resolved_by", NAME),
    Index(None, "tenant_id", "last_at"),
    Index(None, "device_id", "kind"),
)

device_events: Final = Table(
    "device_events",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("device_id", UUID, ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("title", NAME, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Index(None, "tenant_id", "at"),
    Index(None, "device_id", "at"),
)
