"""The devices of a tenant whose hardware another one names as well, kept as they come and go, and the triggers for it.

They are few, and counting all hardware of a million devices to find them takes seconds. A trigger stands where nothing
can forget it: a bulk statement, a program of the release before and a tool of somebody else count like the rest.

Whoever shares hardware with two others is marked already, as those are. So at most two devices that name what a row
names, or named before, have to be looked at, however many clones of a disk there are. PostgreSQL calls a trigger when
all rows of a statement are written: there it looks at some more.

On SQLite a table of devices that is made anew by a migration loses its triggers: such a migration calls ``create``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Column, Connection, ForeignKey, Index, MetaData, Table, event

from shieldwall.server.storage import triggers
from shieldwall.server.storage.columns import UUID, metadata

device_twins: Final = Table(
    "device_twins",
    metadata,
    Column("device_id", UUID, primary_key=True),  # no foreign key: nobody waits for the row of another device
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Index("ix_device_twins_tenant_id", "tenant_id", "device_id"),
)

_HARDWARE: Final = ("machine_id_hash", "smbios_uuid_hash", "tpm_ek_hash")
_WATCHED: Final = ("tenant_id", "state", *_HARDWARE)
_COUNTED: Final = "state <> 'retired'"
_LOCK: Final = 0x5348_5457
"""Any number that nobody else takes. Two who name the same hardware at the same moment would not see each other."""
_ALIKE: Final = {"sqlite": 2, "postgresql": 100}
"""Devices of the same hardware that are looked at. On PostgreSQL a statement may bring fewer to one that was alone."""
_LOCKS: Final = 1_024
"""Locks of one transaction at most, however many devices it writes: PostgreSQL has room for some thousands."""


def create(connection: Connection) -> None:
    """Mark twins from now on; triggers that are there already are made anew."""
    drop(connection)
    for statement in _statements(connection.dialect.name):
        connection.exec_driver_sql(statement)


def drop(connection: Connection) -> None:
    """Mark no more."""
    for cause in ("come", "changed", "gone"):
        triggers.drop(connection, f"twins_{cause}", "devices")


def fill(connection: Connection) -> None:
    """Mark the twins that are there."""
    for column in _HARDWARE:
        connection.exec_driver_sql(
            "INSERT INTO device_twins (device_id, tenant_id) SELECT id, tenant_id FROM devices"  # noqa: S608 - our own names
            f" WHERE {_COUNTED} AND (tenant_id, {column}) IN (SELECT tenant_id, {column} FROM devices"
            f" WHERE {_COUNTED} AND {column} IS NOT NULL GROUP BY tenant_id, {column} HAVING count(*) > 1)"
            " AND id NOT IN (SELECT device_id FROM device_twins)"
        )


@event.listens_for(metadata, "after_create")
def _mark_in_new_tables(_metadata: MetaData, connection: Connection, tables: Iterable[Table], **_others: Any) -> None:
    if device_twins in tables:
        create(connection)


def _statements(dialect: str) -> Iterator[str]:
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    most = _ALIKE[dialect]
    changed = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in _WATCHED)
    for name, cause, rows, condition in (
        ("come", "INSERT", ("NEW",), "1 = 1"),
        ("changed", f"UPDATE OF {', '.join(_WATCHED)}", ("OLD", "NEW"), changed),
        ("gone", "DELETE", ("OLD",), "1 = 1"),
    ):
        body = f"{_unmark(rows, most)}; {_mark(rows, most)}"
        if dialect != "sqlite":
            body = f"{_locked(rows)}; {body}; RETURN NULL"
        when = f"AFTER {cause} ON devices FOR EACH ROW WHEN ({condition})"
        yield from triggers.create_statements(dialect, f"twins_{name}", when, body)


def _concerned(rows: Iterable[str], most: int) -> str:
    """Select the devices that may be something else now: this one, and some that name what it names or named."""
    rows = tuple(rows)
    alike = [
        f"SELECT id FROM (SELECT id FROM devices WHERE tenant_id = {row}.tenant_id AND {column} = {row}.{column}"  # noqa: S608 - our own names
        f" AND {_COUNTED} LIMIT {most}) AS alike"
        for row in rows
        for column in _HARDWARE
    ]
    return " UNION ALL ".join([f"SELECT {rows[0]}.id", *alike])


def _is_twin(device: str) -> str:
    others = (
        f"EXISTS (SELECT 1 FROM devices AS other WHERE other.tenant_id = {device}.tenant_id"  # noqa: S608 - our own names
        f" AND other.{column} = {device}.{column} AND other.{_COUNTED} AND other.id <> {device}.id)"
        for column in _HARDWARE
    )
    return f"{device}.{_COUNTED} AND ({' OR '.join(others)})"


def _unmark(rows: Iterable[str], most: int) -> str:
    return (
        f"DELETE FROM device_twins WHERE device_id IN ({_concerned(rows, most)})"  # noqa: S608 - our own names
        " AND NOT EXISTS (SELECT 1 FROM devices AS device WHERE device.id = device_twins.device_id"
        f" AND device.tenant_id = device_twins.tenant_id AND {_is_twin('device')})"
    )


def _mark(rows: Iterable[str], most: int) -> str:
    return (
        "INSERT INTO device_twins (device_id, tenant_id) SELECT device.id, device.tenant_id"  # noqa: S608 - our own names
        f" FROM devices AS device WHERE device.id IN ({_concerned(rows, most)}) AND {_is_twin('device')}"
        " AND NOT EXISTS (SELECT 1 FROM device_twins AS marked WHERE marked.device_id = device.id)"
    )


def _locked(rows: Iterable[str]) -> str:
    """Let those who name the same hardware wait for each other, in one order, until their transactions end."""
    named = ", ".join(f"({row}.{column})" for row in rows for column in _HARDWARE)
    return (
        f"PERFORM pg_advisory_xact_lock({_LOCK}, number) FROM (SELECT DISTINCT hashtext(value) & {_LOCKS - 1} AS number"  # noqa: S608 - our own names
        f" FROM (VALUES {named}) AS hardware(value) WHERE value IS NOT NULL ORDER BY number) AS locks"
    )
