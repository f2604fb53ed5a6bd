"""The whole life of a device: registrations, pending and quarantined devices, enrollment, groups' history, alerts.

Revision ID: 0004
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String, Text, false, text

revision = "0004"
down_revision = "0003"

_NAME = String(256)
_NOTHING = text("''")


def _device_columns() -> tuple[Column[object], ...]:
    return (
        Column("state_reason", String(64)),
        Column("enrollment_code", Integer(), nullable=False, server_default="1"),
        Column("manager", String(32)),
        Column("unsuitable", String(32)),
        Column("is_domain_controller", Boolean(), nullable=False, server_default=false()),
        Column("device_category", _NAME, nullable=False, server_default=_NOTHING),
        Column("device_ownership", String(16), nullable=False, server_default="Company"),
        Column("enrollment_profile_name", _NAME, nullable=False, server_default=_NOTHING),
        Column("mdm_app_id", String(64)),
        Column("profile_type", String(32), nullable=False, server_default="RegisteredDevice"),
        Column("extension_attributes", Text(), nullable=False, server_default="{}"),
        Column("physical_ids", Text(), nullable=False, server_default="[]"),
        Column("system_labels", Text(), nullable=False, server_default="[]"),
        Column("is_rooted", Boolean()),
        Column("attestation_level", String(8), nullable=False, server_default="none"),
        Column("key_protection", String(16), nullable=False, server_default="software"),
        Column("tpm_ek_hash", String(64)),
        Column("certificate_expires_at", BigInteger()),
        Column("replaces", String(36)),
        Column("troubleshooting_until", BigInteger()),
    )


def _group_columns() -> tuple[Column[object], ...]:
    return (Column("processing_state", String(8), nullable=False, server_default="On"),)


def _tenant_columns() -> tuple[Column[object], ...]:
    return (
        Column("enforcement_scope", Text(), nullable=False, server_default="{}"),
        Column("tamper_protection", Text(), nullable=False, server_default="{}"),
        Column("clean_up", Text(), nullable=False, server_default="{}"),
    )


def _package_columns() -> tuple[Column[object], ...]:
    return (
        Column("approval", String(8), nullable=False, server_default="auto"),
        Column("attestation", String(16), nullable=False, server_default="optional"),
        Column("join_type", String(16), nullable=False, server_default="synthetic"),
        Column("created_by", _NAME, nullable=False, server_default=_NOTHING),
    )


_ADDED = {
    "devices": _device_columns,
    "groups": _group_columns,
    "tenants": _tenant_columns,
    "onboarding_packages": _package_columns,
}


def upgrade() -> None:
    """Add columns and tables; devices that are there are active, managed and enrolled as before."""
    for table, columns in _ADDED.items():
        for column in columns():
            op.add_column(table, column)
    op.create_table(
        "spent_keys",
        Column("thumbprint", String(43), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("device_id", String(36), nullable=False),
        Column("reason", String(32), nullable=False),
        Column("spent_at", BigInteger(), nullable=False),
    )
    op.create_table(
        "registrations",
        Column("device_id", String(36), primary_key=True),
        Column("object_id", String(36), nullable=False),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", _NAME, nullable=False),
        Column("trust_type", String(16), nullable=False),
        Column("os_type", String(32), nullable=False),
        Column("os_version", _NAME, nullable=False),
        Column("is_enabled", Boolean(), nullable=False),
        Column("manager", String(32)),
        Column("public_key", LargeBinary(), nullable=False),
        Column("key_digest", String(64), nullable=False),
        Column("certificate", Text(), nullable=False),
        Column("expires_at", BigInteger(), nullable=False),
        Column("source", String(16), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
    )
    op.create_index("uq_registrations_object_id", "registrations", ["object_id"], unique=True)
    op.create_index("uq_registrations_tenant_id_key_digest", "registrations", ["tenant_id", "key_digest"], unique=True)
    op.create_table(
        "trusted_authorities",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("display_name", _NAME, nullable=False),
        Column("value", Text(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
    )
    op.create_index("ix_trusted_authorities_tenant_id_kind", "trusted_authorities", ["tenant_id", "kind"])
    op.create_table(
        "sightings",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("device_id", String(36), ForeignKey("devices.id", ondelete="CASCADE"), nullable=False),
        Column("at", BigInteger(), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("instance_id", String(32), nullable=False),
        Column("boot_id", _NAME, nullable=False),
        Column("request_digest", String(64), nullable=False),
        Column("epoch", BigInteger(), nullable=False),
    )
    op.create_index("ix_sightings_device_id_at", "sightings", ["device_id", "at"])
    op.create_table(
        "attestation_challenges",
        Column("device_id", String(36), ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("offer", Text(), nullable=False),
        Column("challenge", Text(), nullable=False),
        Column("secret_digest", String(64), nullable=False),
        Column("expires_at", BigInteger(), nullable=False),
    )
    op.create_table(
        "membership_events",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("group_id", String(36), nullable=False),
        Column("device_id", String(36), nullable=False),
        Column("at", BigInteger(), nullable=False),
        Column("joined", Boolean(), nullable=False),
        Column("cause", Text(), nullable=False),
    )
    op.create_index("ix_membership_events_group_id_at", "membership_events", ["group_id", "at"])
    op.create_index("ix_membership_events_device_id_at", "membership_events", ["device_id", "at"])
    op.create_table(
        "alerts",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("device_id", String(36)),
        Column("kind", String(64), nullable=False),
        Column("severity", String(16), nullable=False),
        Column("title", _NAME, nullable=False),
        Column("details", Text(), nullable=False),
        Column("first_at", BigInteger(), nullable=False),
        Column("last_at", BigInteger(), nullable=False),
        Column("times", Integer(), nullable=False),
        Column("resolved_at", BigInteger()),
        Column("resolved_by", _NAME),
    )
    op.create_index("ix_alerts_tenant_id_last_at", "alerts", ["tenant_id", "last_at"])
    op.create_index("ix_alerts_device_id_kind", "alerts", ["device_id", "kind"])
    op.create_table(
        "offboarding_packages",
        Column("id", String(36), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("display_name", _NAME, nullable=False),
        Column("platforms", Text(), nullable=False),
        Column("not_after", BigInteger(), nullable=False),
        Column("created_at", BigInteger(), nullable=False),
        Column("created_by", _NAME, nullable=False),
    )


def downgrade() -> None:
    """Take them away. Devices that are pending, quarantined or leaving become retired: the schema before knows none."""
    op.execute("UPDATE devices SET state = 'retired' WHERE state NOT IN ('active', 'disabled', 'retired')")
    for table in (
        "offboarding_packages",
        "alerts",
        "membership_events",
        "attestation_challenges",
        "sightings",
        "trusted_authorities",
        "registrations",
        "spent_keys",
    ):
        op.drop_table(table)
    for table, columns in reversed(_ADDED.items()):
        for column in reversed(columns()):
            op.drop_column(table, column.name)
