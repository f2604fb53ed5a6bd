"""Devices that are alike in what a list is sorted by are in the order of their numbers, which are shorter than ids.

Revision ID: 0039_0037
"""

from __future__ import annotations

from alembic import op

revision = "0039_0037"
down_revision = "0038_0037"

_INDEXES = {
    "ix_inventory_by_name": ("name_key",),
    "ix_inventory_by_os": ("os_key",),
    "ix_inventory_by_agent": ("agent_key",),
    "ix_inventory_troubled": ("impaired", "name_key"),
    "ix_inventory_by_manager": ("managed_by",),
    "ix_inventory_by_enrollment": ("enrollment_code",),
    "ix_inventory_by_attestation": ("attestation_level",),
    "ix_inventory_by_tags": ("tags_key",),
}
_OF_SOME = {"ix_inventory_troubled": {"sqlite": "impaired = 1", "postgresql": "impaired"}}
"""Which rows an index holds, as queries write it on each engine."""


def upgrade() -> None:
    """Make the indexes anew; on SQLite the number of its row ends each entry by itself."""
    last = ("number",) if op.get_bind().dialect.name == "postgresql" else ()
    _make(*last)


def downgrade() -> None:
    """Let ids end them again."""
    _make("device_id")


def _make(*last: str) -> None:
    engine = op.get_bind().dialect.name
    for name, columns in _INDEXES.items():
        some = f" WHERE {_OF_SOME[name][engine]}" if name in _OF_SOME else ""
        op.execute(f"DROP INDEX {name}")
        op.execute(f"CREATE INDEX {name} ON inventory ({', '.join(('tenant_number', *columns, *last))}){some}")
