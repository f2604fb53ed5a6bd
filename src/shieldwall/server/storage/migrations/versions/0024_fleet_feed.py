"""Which devices changed, for those who keep fleets in memory: a feed written by triggers, and who reads it.

Revision ID: 0024
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shieldwall.server.storage.tables.fleet_triggers import Watched, What, create, drop

revision = "0024"
down_revision = "0023"

_WATCHED = (
    Watched(
        name="devices",
        table="devices",
        what=What.DEVICE,
        device="id",
        columns=(
            "object_id",
            "display_name",
            "trust_type",
            "state",
            "os_type",
            "os_version",
            "manufacturer",
            "model",
            "agent_version",
            "catalog_version",
            "managed_elsewhere",
            "manager",
            "tags",
            "enrollment_code",
            "is_domain_controller",
            "device_category",
            "device_ownership",
            "enrollment_profile_name",
            "mdm_app_id",
            "profile_type",
            "extension_attributes",
            "physical_ids",
            "system_labels",
            "is_rooted",
            "attestation_level",
            "troubleshooting_until",
        ),
    ),
    Watched(
        name="targets",
        table="check_ins",
        what=What.TARGET,
        comes="NEW.target_digest IS NOT NULL",
        goes=False,
        columns=("target_digest",),
    ),
    Watched(name="protocols", table="check_ins", what=What.DEVICE, comes=None, goes=False, columns=("protocol",)),
    Watched(
        name="statuses",
        table="check_ins",
        what=What.STATUS,
        comes="NEW.status_digest IS NOT NULL",
        goes=False,
        columns=("status_digest",),
    ),
    Watched(
        name="figures",
        table="inventory",
        what=What.STATUS,
        comes=None,
        goes=False,
        columns=("engine_trouble", "report_trouble", "impaired", "repaired", "drifted"),
    ),
    Watched(name="members", table="group_members", what=What.GROUPS),
    Watched(name="tags", table="device_scope_tags", what=What.TAGS),
    Watched(name="tagged_groups", table="scope_tag_groups", what=What.TAGS, device=""),
    Watched(name="groups", table="groups", what=What.AIMS, device="", columns=("membership_rule", "processing_state")),
    Watched(name="policies", table="policies", what=What.AIMS, device="", columns=("digest", "template_id")),
    Watched(
        name="assignments",
        table="assignments",
        what=What.AIMS,
        device="",
        columns=("kind", "group_id", "filter_id", "filter_type"),
    ),
    Watched(name="filters", table="assignment_filters", what=What.AIMS, device="", columns=("platform", "rule")),
    Watched(
        name="tenants",
        table="tenants",
        what=What.AIMS,
        device="",
        tenant="id",
        comes=None,
        goes=False,
        columns=("conflict_rules", "tamper_protection"),
    ),
)


def upgrade() -> None:
    """Note from now on what changes; whoever begins to read reads the tables themselves first."""
    op.create_table(
        "fleet_changes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("xid", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column(
            "tenant_id", sa.String(36), sa.ForeignKey("tenants.id", name="fk_fleet_changes_tenant_id"), nullable=False
        ),
        sa.Column("device_id", sa.String(36), nullable=False),
        sa.Column("what", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_fleet_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_fleet_changes_xid_number", "fleet_changes", ["xid", "number"])
    op.create_table(
        "fleet_readers",
        sa.Column("name", sa.String(64)),
        sa.Column(
            "tenant_id", sa.String(36), sa.ForeignKey("tenants.id", name="fk_fleet_readers_tenant_id"), nullable=False
        ),
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("xid", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("read_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_fleet_readers"),
    )
    create(op.get_bind(), _WATCHED)


def downgrade() -> None:
    """Note nothing."""
    drop(op.get_bind(), _WATCHED)
    op.drop_table("fleet_readers")
    op.drop_table("fleet_changes")
