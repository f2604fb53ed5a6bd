"""What changed in the directory, for those who follow it.

Revision ID: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shieldwall.server.storage.tables.change_triggers import Followed, create, drop

revision = "0014"
down_revision = "0013"

_FOLLOWED = (
    Followed(
        table="devices",
        feed="devices",
        kind="device",
        key=("id", "object_id"),
        id="{row}.id",
        other="{row}.object_id",
        shown=(
            "display_name",
            "registration",
            "trust_type",
            "state",
            "os_type",
            "os_version",
            "manufacturer",
            "model",
            "registered_at",
            "state_reason",
            "enrollment_code",
            "device_category",
            "device_ownership",
            "enrollment_profile_name",
            "mdm_app_id",
            "profile_type",
            "extension_attributes",
            "physical_ids",
            "system_labels",
            "is_rooted",
        ),
        members="SELECT OLD.tenant_id, 'member', group_id, OLD.object_id FROM group_members WHERE device_id = OLD.id",
    ),
    Followed(
        table="registrations",
        feed="devices",
        kind="registration",
        key=("device_id", "object_id"),
        id="{row}.device_id",
        other="{row}.object_id",
        shown=(
            "display_name",
            "trust_type",
            "os_type",
            "os_version",
            "is_enabled",
            "manager",
            "certificate",
            "expires_at",
            "source",
            "created_at",
        ),
    ),
    Followed(
        table="groups",
        feed="groups",
        kind="group",
        key=("id",),
        id="{row}.id",
        other="''",
        shown=("display_name", "description", "mail_nickname", "membership_rule", "processing_state", "created_at"),
    ),
    Followed(
        table="group_members",
        feed="groups",
        kind="member",
        key=("group_id", "device_id"),
        id="{row}.group_id",
        other="(SELECT object_id FROM devices WHERE id = {row}.device_id)",
    ),
)


def upgrade() -> None:
    """Write down what changes from now on; what is there already is read from the tables themselves."""
    op.create_table(
        "directory_feeds",
        sa.Column("tenant_id", sa.String(36), sa.ForeignKey("tenants.id", name="fk_directory_feeds_tenant_id")),
        sa.Column("feed", sa.String(16)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("forgotten", sa.BigInteger, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("read_at", sa.BigInteger),
        sa.Column("is_followed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("tenant_id", "feed", name="pk_directory_feeds"),
    )
    op.create_table(
        "directory_changes",
        sa.Column("tenant_id", sa.String(36), sa.ForeignKey("tenants.id", name="fk_directory_changes_tenant_id")),
        sa.Column("kind", sa.String(16)),
        sa.Column("id", sa.String(36)),
        sa.Column("other", sa.String(36)),
        sa.Column("version", sa.BigInteger),
        sa.Column("at", sa.BigInteger),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "id", "other", name="pk_directory_changes"),
    )
    op.create_index(
        "ix_directory_changes_tenant_id_kind_version_id_other",
        "directory_changes",
        ["tenant_id", "kind", "version", "id", "other"],
    )
    create(op.get_bind(), _FOLLOWED)


def downgrade() -> None:
    """Write nothing down."""
    drop(op.get_bind(), _FOLLOWED)
    op.drop_table("directory_changes")
    op.drop_table("directory_feeds")
