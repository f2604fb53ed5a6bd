"""Devices that may share hardware with others of their tenant: nobody counts all hardware to find them (decision 0087).

Triggers name who came, who came to name other hardware, and who came back: one narrow row, and no look at any other
device. ``inventory_twins.clear`` takes away again who turned out to share nothing. So of devices that share hardware at
least one stands here: whoever was the last to come to it.

On SQLite a table of devices that is made anew by a migration loses its triggers: such a migration calls ``create``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Column, Connection, ForeignKey, Index, MetaData, Table, event

from shieldwall.server.storage.tables import triggers
from shieldwall.server.storage.tables.columns import UUID, metadata
from shieldwall.server.storage.tables.fleet_schema import NUMBER

twin_suspects: Final = Table(
    "twin_suspects",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("device_id", UUID, nullable=False),  # no foreign key: a device that goes waits for nobody who looks
    Index(None, "tenant_id", "number"),
    sqlite_autoincrement=True,  # whoever takes rows away names them by numbers that nobody else gets meanwhile
)

_NAMED: Final = ("tenant_id", "machine_id_hash", "smbios_uuid_hash", "tpm_ek_hash")
_NOTED: Final = "INSERT INTO twin_suspects (tenant_id, device_id) VALUES (NEW.tenant_id, NEW.id)"


def create(connection: Connection) -> None:
    """Name suspects from now on; triggers that are there already are made anew."""
    drop(connection)
    dialect = connection.dialect.name
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    other = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in _NAMED)
    back = "(OLD.state = 'retired' AND NEW.state <> 'retired')"
    for name, cause in (
        ("come", "INSERT ON devices FOR EACH ROW"),
        ("changed", f"UPDATE OF state, {', '.join(_NAMED)} ON devices FOR EACH ROW WHEN ({back} OR {other})"),
    ):
        noted = _NOTED if dialect == "sqlite" else f"{_NOTED}; RETURN NULL"
        for statement in triggers.create_statements(dialect, f"twins_{name}", f"AFTER {cause}", noted):
            connection.exec_driver_sql(statement)


def drop(connection: Connection) -> None:
    """Name none any more."""
    for name in ("come", "changed"):
        triggers.drop(connection, f"twins_{name}", "devices")


@event.listens_for(metadata, "after_create")
def _watch_new_tables(_metadata: MetaData, connection: Connection, tables: Iterable[Table], **_others: Any) -> None:
    if twin_suspects in tables:
        create(connection)
