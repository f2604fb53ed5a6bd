"""Indexes from which a whole fleet is counted: they hold all that the figures ask for, and no row has to be read.

Revision ID: 0021
"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"

_FIGURES = ("os_type", "state", "managed_by", "enrollment_code", "impaired", "repaired", "drifted")
_PAIR = ("tenant_id", "target_digest", "status_digest")


def upgrade() -> None:
    """Add them; the one of targets and reports takes the place of one that named no device."""
    op.create_index("ix_check_ins_standing", "check_ins", [*_PAIR, "device_id"])
    op.drop_index("ix_check_ins_tenant_id_target_digest_status_digest", "check_ins")
    op.create_index("ix_devices_traits", "devices", ["id", "state", "os_type", "catalog_version"])
    op.create_index("ix_inventory_figures", "inventory", ["tenant_id", *_FIGURES])


def downgrade() -> None:
    """Take them away, and bring the former one back."""
    op.drop_index("ix_inventory_figures", "inventory")
    op.drop_index("ix_devices_traits", "devices")
    op.create_index("ix_check_ins_tenant_id_target_digest_status_digest", "check_ins", list(_PAIR))
    op.drop_index("ix_check_ins_standing", "check_ins")
