"""What listings of devices are filtered and ordered by: whole names in small letters, and when a device came.

Revision ID: 0015
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, String, text

revision = "0015"
down_revision = "0014"

_FOLDED = String(512).with_variant(String(512, collation="C"), "postgresql")
_COLUMNS = (
    ("name_folded", _FOLDED, text("''")),
    ("os_folded", _FOLDED, text("''")),
    ("registered_at", BigInteger(), "0"),
)
_INDEXES = {
    "ix_inventory_device_id": ("tenant_id", "device_id"),
    "ix_inventory_name_folded": ("tenant_id", "name_folded", "device_id"),
    "ix_inventory_os_folded": ("tenant_id", "os_folded", "name_folded", "device_id"),
    "ix_inventory_registered_at": ("tenant_id", "registered_at", "device_id"),
}
_PORTION = 1_000


def upgrade() -> None:
    """Add the columns, fill them from the devices, and index them."""
    for name, kind, default in _COLUMNS:
        op.add_column("inventory", Column(name, kind, nullable=False, server_default=default))
    _fill()
    for name, columns in _INDEXES.items():
        op.create_index(name, "inventory", list(columns))


def downgrade() -> None:
    """Take them away; nothing is lost that is not written elsewhere."""
    for name in _INDEXES:
        op.drop_index(name, "inventory")
    for name, _, _ in reversed(_COLUMNS):
        op.drop_column("inventory", name)


def _fill() -> None:
    connection = op.get_bind()
    after = ""
    while True:
        found = connection.execute(
            text(
                "SELECT id, display_name, os_type, registered_at FROM devices WHERE id > :after ORDER BY id LIMIT :most"
            ),
            {"after": after, "most": _PORTION},
        ).all()
        if not found:
            return
        connection.execute(
            text(
                "UPDATE inventory SET name_folded = :name, os_folded = :os, registered_at = :at"
                " WHERE device_id = :device"
            ),
            [{"device": id_, "name": _fold(name), "os": _fold(os), "at": at} for id_, name, os, at in found],
        )
        after = str(found[-1][0])


def _fold(name: str) -> str:
    return name.lower().replace("\u03c2", "\u03c3")
