"""Devices that may share hardware with others are named as they come, and all hardware is counted once, here.

Revision ID: 0032_0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shieldwall.server.storage.tables.triggers import create_statements, drop

revision = "0032_0023"
down_revision = "0031_0023"

_HARDWARE = ("machine_id_hash", "smbios_uuid_hash", "tpm_ek_hash")
_NAMED = ("tenant_id", *_HARDWARE)
_NOTED = "INSERT INTO twin_suspects (tenant_id, device_id) VALUES (NEW.tenant_id, NEW.id)"


def upgrade() -> None:
    """Name who comes from now on, then those that share hardware already: who writes meanwhile waits for the end."""
    op.create_table(
        "twin_suspects",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column(
            "tenant_id", sa.String(36), sa.ForeignKey("tenants.id", name="fk_twin_suspects_tenant_id"), nullable=False
        ),
        sa.Column("device_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_twin_suspects"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_twin_suspects_tenant_id_number", "twin_suspects", ["tenant_id", "number"])
    connection, dialect = op.get_bind(), op.get_bind().dialect.name
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    other = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in _NAMED)
    back = "(OLD.state = 'retired' AND NEW.state <> 'retired')"
    for name, cause in (
        ("come", "INSERT ON devices FOR EACH ROW"),
        ("changed", f"UPDATE OF state, {', '.join(_NAMED)} ON devices FOR EACH ROW WHEN ({back} OR {other})"),
    ):
        noted = _NOTED if dialect == "sqlite" else f"{_NOTED}; RETURN NULL"
        drop(connection, f"twins_{name}", "devices")
        for statement in create_statements(dialect, f"twins_{name}", f"AFTER {cause}", noted):
            connection.exec_driver_sql(statement)
    for column in _HARDWARE:
        op.execute(
            "INSERT INTO twin_suspects (tenant_id, device_id) SELECT tenant_id, id FROM devices"  # noqa: S608 - our own names
            f" WHERE state <> 'retired' AND (tenant_id, {column}) IN (SELECT tenant_id, {column} FROM devices"
            f" WHERE state <> 'retired' AND {column} IS NOT NULL GROUP BY tenant_id, {column} HAVING count(*) > 1)"
        )


def downgrade() -> None:
    """Name none."""
    for name in ("come", "changed"):
        drop(op.get_bind(), f"twins_{name}", "devices")
    op.drop_table("twin_suspects")
