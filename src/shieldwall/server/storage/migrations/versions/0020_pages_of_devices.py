"""What the pages of devices ask for: every column in order, the state of reports, what each device reported when.

Revision ID: 0020
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, text

revision = "0020"
down_revision = "0019"

_KEY = String(64).with_variant(String(64, collation="C"), "postgresql")
_INDEXES = {
    "ix_inventory_by_state": ("tenant_id", "state", "device_id"),
    "ix_inventory_by_manager": ("tenant_id", "managed_by", "device_id"),
    "ix_inventory_by_enrollment": ("tenant_id", "enrollment_code", "device_id"),
    "ix_inventory_by_attestation": ("tenant_id", "attestation_level", "device_id"),
    "ix_inventory_by_tags": ("tenant_id", "tags_key", "device_id"),
}
_STATES = ("notApplicable", "succeeded", "pending", "conflict", "error")
_SEPARATOR = "\x1f"
_PORTION = 1_000


def upgrade() -> None:
    """Add columns, indexes and the table; reports that are there are read once more."""
    op.add_column("inventory", Column("tags_key", _KEY, nullable=False, server_default=text("''")))
    op.add_column("status_documents", Column("gravest", String(16), nullable=False, server_default="notApplicable"))
    op.add_column("status_documents", Column("target", String(64)))
    op.add_column("status_documents", Column("states", String(64), nullable=False, server_default=text("''")))
    _read_tags()
    _read_reports()
    for name, columns in _INDEXES.items():
        op.create_index(name, "inventory", list(columns))
    op.create_index("ix_audit_events_object_id_at", "audit_events", ["object_id", "at"])
    op.create_table(
        "device_reports",
        Column("device_id", String(36), ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
        Column("at", BigInteger(), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("states", String(64), nullable=False),
        Column("repaired", Integer(), nullable=False),
        Column("drifted", Integer(), nullable=False),
    )


def downgrade() -> None:
    """Take them away, and what was kept of earlier reports."""
    op.drop_table("device_reports")
    op.drop_index("ix_audit_events_object_id_at", "audit_events")
    for name in _INDEXES:
        op.drop_index(name, "inventory")
    for name in ("states", "target", "gravest"):
        op.drop_column("status_documents", name)
    op.drop_column("inventory", "tags_key")


def _read_tags() -> None:
    connection = op.get_bind()
    after = ""
    while True:
        found = connection.execute(
            text(
                "SELECT device_id, tags FROM inventory WHERE tags <> '' AND device_id > :after"
                " ORDER BY device_id LIMIT :most"
            ),
            {"after": after, "most": _PORTION},
        ).all()
        if not found:
            return
        connection.execute(
            text("UPDATE inventory SET tags_key = :tags WHERE device_id = :device"),
            [{"device": device, "tags": _key(tags)} for device, tags in found],
        )
        after = str(found[-1][0])


def _read_reports() -> None:
    connection = op.get_bind()
    for tenant, digest, body in connection.execute(text("SELECT tenant_id, digest, body FROM status_documents")).all():
        connection.execute(
            text(
                "UPDATE status_documents SET gravest = :gravest, target = :target, states = :states"
                " WHERE tenant_id = :tenant AND digest = :digest"
            ).bindparams(tenant=tenant, digest=digest, **_told(_read(bytes(body))))
        )


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}


def _told(report: Any) -> dict[str, Any]:
    states = [each["state"] for each in report.get("settings", [])] + ["error" for _ in report.get("refused", [])]
    counts = Counter(states)
    return {
        "gravest": max(states, key=_STATES.index, default="notApplicable"),
        "target": report.get("target"),
        "states": " ".join(str(counts[state]) for state in _STATES),
    }


def _key(tags: str) -> str:
    return " ".join(tags.strip(_SEPARATOR).split(_SEPARATOR))[:64]
