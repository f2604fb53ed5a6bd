"""The triggers that note which devices changed, for those who keep fleets in memory; for both engines.

They stand where nothing can forget them: a bulk statement, a cascade and a tool of somebody else count like the rest. A
row that stays what it was in all columns that are watched notes nothing, and so does a check-in that brings no news: it
writes to none of them, and no trigger runs at all.

On SQLite a table that is made anew by a migration loses its triggers: such a migration calls ``create`` after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Final

from sqlalchemy import Connection, MetaData, Table, event

from shieldwall.server.storage.tables import triggers
from shieldwall.server.storage.tables.columns import metadata
from shieldwall.server.storage.tables.fleet_schema import fleet_changes


class What(IntFlag):
    """What changed."""

    DEVICE = 1
    """The device came or went, or something that is known of it is another."""
    TARGET = 2
    """What it shall enforce."""
    STATUS = 4
    """What it reported, or what was counted of that."""
    GROUPS = 8
    """The groups it belongs to."""
    AIMS = 16
    """What the policies of the tenant are aimed at: policies, assignments, filters, rules of groups, settings of the
    tenant. No device is named."""
    TAGS = 32
    """The scope tags it has; without a device, those of a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Rows of a table that are watched: those that come, those that go, and those whose columns change."""

    name: str
    table: str
    what: What
    device: str = "device_id"
    """The column that names the device; empty where it is not about a device."""
    tenant: str = "tenant_id"
    """The column that names the tenant: by its number, where it is ``tenant_number``."""
    comes: str | None = "1 = 1"
    """When a row that comes counts, as SQL about ``NEW``; ``None``: never."""
    goes: bool = True
    columns: tuple[str, ...] = ()
    number: str = ""
    """The column with the device's number, where the row has neither its id nor its tenant: those are looked up. With a
    device that goes such rows go too, and nothing is noted of them beside that."""


WATCHED: Final = (
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
        tenant="tenant_number",
        comes="NEW.target_digest IS NOT NULL",
        goes=False,
        columns=("target_digest",),
    ),
    Watched(
        name="protocols",
        table="check_ins",
        what=What.DEVICE,
        tenant="tenant_number",
        comes=None,
        goes=False,
        columns=("protocol",),
    ),
    Watched(
        name="statuses",
        table="check_ins",
        what=What.STATUS,
        tenant="tenant_number",
        comes="NEW.status_digest IS NOT NULL",
        goes=False,
        columns=("status_digest",),
    ),
    Watched(
        name="figures",
        table="inventory",
        what=What.STATUS,
        tenant="tenant_number",
        comes=None,
        goes=False,
        columns=("engine_trouble", "report_trouble", "impaired", "repaired", "drifted"),
    ),
    Watched(name="members", table="group_members", what=What.GROUPS, number="device_number"),
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
"""A column that comes to be kept in memory belongs here, and into a migration that makes the triggers anew."""


def create(connection: Connection, watched: Iterable[Watched] = WATCHED) -> None:
    """Watch tables from now on; triggers of theirs that are there already are made anew."""
    watched = tuple(watched)
    drop(connection, watched)
    for each in watched:
        for statement in _created(each, connection.dialect.name):
            connection.exec_driver_sql(statement)


def drop(connection: Connection, watched: Iterable[Watched] = WATCHED) -> None:
    """Watch tables no more."""
    for each in watched:
        for event_name in _EVENTS:
            triggers.drop(connection, f"fleet_{each.name}_{event_name}", each.table)


@event.listens_for(metadata, "after_create")
def _watch_new_tables(_metadata: MetaData, connection: Connection, tables: Iterable[Table], **_others: Any) -> None:
    if fleet_changes in tables:
        create(connection)


_EVENTS: Final = ("come", "changed", "gone")


def _created(each: Watched, dialect: str) -> Iterator[str]:
    if each.comes is not None:
        yield from _trigger(each, "come", "INSERT", each.comes, dialect=dialect)
    if each.columns:
        differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
        condition = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in each.columns)
        yield from _trigger(each, "changed", f"UPDATE OF {', '.join(each.columns)}", condition, dialect=dialect)
    if each.goes:
        yield from _trigger(each, "gone", "DELETE", "1 = 1", dialect=dialect)


def _trigger(each: Watched, event_name: str, cause: str, condition: str, *, dialect: str) -> Iterator[str]:
    name, row = f"fleet_{each.name}_{event_name}", "OLD" if event_name == "gone" else "NEW"
    cause = f"AFTER {cause} ON {each.table} FOR EACH ROW WHEN ({condition})"
    device = f"{row}.{each.device}" if each.device else "''"
    tenant = f"{row}.{each.tenant}"
    if each.tenant == "tenant_number":
        tenant = f"(SELECT id FROM tenants WHERE number = {tenant})"  # noqa: S608 - our own names
    values = f"{tenant}, {device}, {each.what.value}"
    if each.number:
        values = f"tenant_id, id, {each.what.value}"
    if dialect == "sqlite":
        noted = f"INSERT INTO fleet_changes (tenant_id, device_id, what) {_rows(each, row, values)}"
    else:
        written = _rows(each, row, f"pg_current_xact_id()::text::bigint, {values}")
        noted = f"INSERT INTO fleet_changes (xid, tenant_id, device_id, what) {written}; RETURN NULL"
    return triggers.create_statements(dialect, name, cause, noted)


def _rows(each: Watched, row: str, values: str) -> str:
    if not each.number:
        return f"VALUES ({values})"
    return f"SELECT {values} FROM devices WHERE number = {row}.{each.number}"  # noqa: S608 - our own names
