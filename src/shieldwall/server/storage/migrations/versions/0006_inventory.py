"""What lists of devices are read from: a narrow row per device, and what each report comes to.

Revision ID: 0006
"""

from __future__ import annotations

import json
import re
from typing import Any

from alembic import op
from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Text, false, text

revision = "0006"
down_revision = "0005"

_KEY = String(64).with_variant(String(64, collation="C"), "postgresql")
_NONE = "0"
_COUNTS = (
    ("trouble", Boolean, false()),
    ("repaired", Integer, _NONE),
    ("drifted", Integer, _NONE),
)
_INDEXES = {
    "ix_inventory_by_name": ("tenant_id", "name_key", "device_id"),
    "ix_inventory_by_os": ("tenant_id", "os_key", "device_id"),
    "ix_inventory_by_agent": ("tenant_id", "agent_key", "device_id"),
    "ix_inventory_by_exposure": ("tenant_id", "exposure", "device_id"),
    "ix_inventory_impaired": ("tenant_id", "impaired", "name_key", "device_id"),
}
_FOUND_BY = {
    "devices": (
        ("tenant_id", "machine_id_hash", "state"),
        ("tenant_id", "smbios_uuid_hash", "state"),
        ("tenant_id", "tpm_ek_hash", "state"),
        ("package_id",),
    ),
    "check_ins": (("tenant_id", "last_check_in", "device_id"),),
}
_FOLLOWED = "state, enrollment_code, attestation_level, managed_elsewhere, manager"
_FOLLOWING = """
UPDATE inventory SET state = NEW.state, enrollment_code = NEW.enrollment_code,
    attestation_level = NEW.attestation_level,
    managed_by = CASE WHEN NEW.state IN ('active', 'quarantined', 'leaving') AND NEW.enrollment_code = 1 THEN 'MDE'
        ELSE COALESCE(NULLIF(NEW.managed_elsewhere, ''), NEW.manager, '') END
    WHERE device_id = NEW.id;
"""
_SEPARATOR = "\x1f"
_TROUBLED = {"engineNotAnswering", "notRunning", "unreadableHealth"}
_PORTION = 1_000


def upgrade() -> None:
    """Add the table and the counts, and fill both from what is there."""
    for name, kind, default in _COUNTS:
        op.add_column("status_documents", Column(name, kind(), nullable=False, server_default=default))
    op.create_table(
        "inventory",
        Column("device_id", String(36), ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
        Column("tenant_id", String(36), ForeignKey("tenants.id"), nullable=False),
        Column("state", String(16), nullable=False),
        Column("name_key", _KEY, nullable=False),
        Column("os_key", _KEY, nullable=False),
        Column("agent_key", _KEY, nullable=False),
        Column("os_type", String(32), nullable=False),
        Column("os_version", String(256), nullable=False),
        Column("agent_version", String(256), nullable=False),
        Column("managed_by", String(256), nullable=False),
        Column("enrollment_code", Integer(), nullable=False),
        Column("attestation_level", String(8), nullable=False),
        Column("tags", Text(), nullable=False),
        Column("search", Text(), nullable=False),
        Column("engine_trouble", Boolean(), nullable=False, server_default=false()),
        Column("report_trouble", Boolean(), nullable=False, server_default=false()),
        Column("repaired", Integer(), nullable=False, server_default=_NONE),
        Column("drifted", Integer(), nullable=False, server_default=_NONE),
        Column("exposure", Integer(), nullable=False, server_default=_NONE),
        Column("impaired", Boolean(), nullable=False, server_default=false()),
    )
    for name, columns in _INDEXES.items():
        op.create_index(name, "inventory", list(columns))
    for table, indexes in _FOUND_BY.items():
        for found in indexes:
            op.create_index(f"ix_{table}_{'_'.join(found)}", table, list(found))
    _count_reports()
    _list_devices()
    _follow()


def downgrade() -> None:
    """Take them away; nothing is lost that is not written elsewhere."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER inventory_follows")
    else:
        op.execute("DROP TRIGGER inventory_follows ON devices")
        op.execute("DROP FUNCTION inventory_follows()")
    for table, indexes in _FOUND_BY.items():
        for found in indexes:
            op.drop_index(f"ix_{table}_{'_'.join(found)}", table)
    op.drop_table("inventory")
    for name, _, _ in reversed(_COUNTS):
        op.drop_column("status_documents", name)


def _follow() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER inventory_follows AFTER UPDATE OF {_FOLLOWED} ON devices BEGIN {_FOLLOWING} END")
        return
    op.execute(
        f"CREATE OR REPLACE FUNCTION inventory_follows() RETURNS trigger AS $$ BEGIN {_FOLLOWING} RETURN NULL; END $$"
        " LANGUAGE plpgsql"
    )
    op.execute(
        f"CREATE TRIGGER inventory_follows AFTER UPDATE OF {_FOLLOWED} ON devices"
        " FOR EACH ROW EXECUTE FUNCTION inventory_follows()"
    )


def _count_reports() -> None:
    connection = op.get_bind()
    reports = connection.execute(text("SELECT tenant_id, digest, body FROM status_documents")).all()
    for tenant, digest, body in reports:
        connection.execute(
            text(
                "UPDATE status_documents SET trouble = :trouble, repaired = :repaired, drifted = :drifted"
                " WHERE tenant_id = :tenant AND digest = :digest"
            ).bindparams(tenant=tenant, digest=digest, **_counted(_read(bytes(body))))
        )


def _list_devices() -> None:
    connection = op.get_bind()
    after = ""
    while True:
        found = connection.execute(
            text(
                "SELECT devices.*, status_documents.trouble, status_documents.repaired, status_documents.drifted"
                " FROM devices LEFT JOIN check_ins ON check_ins.device_id = devices.id"
                " LEFT JOIN status_documents ON status_documents.tenant_id = devices.tenant_id"
                " AND status_documents.digest = check_ins.status_digest"
                " WHERE devices.id > :after ORDER BY devices.id LIMIT :most"
            ),
            {"after": after, "most": _PORTION},
        ).mappings()
        rows = [_row(dict(each)) for each in found]
        if not rows:
            return
        columns = list(rows[0])
        connection.execute(
            text(f"INSERT INTO inventory ({', '.join(columns)}) VALUES ({', '.join(f':{c}' for c in columns)})"),  # noqa: S608 - names written below
            rows,
        )
        after = str(rows[-1]["device_id"])


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}


def _counted(report: Any) -> dict[str, Any]:
    settings = report.get("settings", [])
    return {
        "trouble": bool(report.get("refused")) or any(each["state"] == "error" for each in settings),
        "repaired": sum(each.get("code") == "repaired" for each in settings),
        "drifted": sum(map(_is_drifted, settings)),
    }


def _is_drifted(each: Any) -> bool:
    if each["state"] in {"notApplicable", "conflict"} or each.get("value") is None:
        return False
    read = each.get("readBack")
    return each.get("effective") is False or (read is not None and read != each["value"])


def _row(device: dict[str, Any]) -> dict[str, Any]:
    tags = json.loads(device["tags"])
    managed = device["state"] in {"active", "quarantined", "leaving"} and device["enrollment_code"] == 1
    elsewhere = device["managed_elsewhere"]
    engine_trouble = any(each in _TROUBLED for each in json.loads(device["providers"]).values())
    trouble, repaired, drifted = bool(device["trouble"]), device["repaired"] or 0, device["drifted"] or 0
    searched = (
        *(device[name] for name in ("display_name", "id", "object_id", "os_type", "os_version", "manufacturer")),
        *(device["model"], device["agent_version"], elsewhere or "", *tags),
    )
    return {
        "device_id": device["id"],
        "tenant_id": device["tenant_id"],
        "state": device["state"],
        "name_key": _key(_in_order(device["display_name"])),
        "os_key": _key(f"{device['os_type']} {_in_order(device['os_version'])}"),
        "agent_key": _key(_in_order(device["agent_version"])),
        "os_type": device["os_type"],
        "os_version": device["os_version"],
        "agent_version": device["agent_version"],
        "managed_by": "MDE" if managed else elsewhere or device["manager"] or "",
        "enrollment_code": device["enrollment_code"],
        "attestation_level": device["attestation_level"],
        "tags": _SEPARATOR.join(("", *(tag.casefold() for tag in tags), "")) if tags else "",
        "search": _SEPARATOR.join(searched).casefold(),
        "engine_trouble": engine_trouble,
        "report_trouble": trouble,
        "repaired": repaired,
        "drifted": drifted,
        "exposure": repaired + drifted,
        "impaired": engine_trouble or trouble,
    }


def _key(name: str) -> str:
    return name.strip().casefold()[:64]


def _in_order(version: str) -> str:
    return re.sub(r"\d+", lambda number: number[0].lstrip("0").rjust(6, "0"), version)
