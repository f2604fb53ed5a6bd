"""The triggers that write down what changes in the directory, for both engines (decision 0031).

They stand where nothing can forget them: a bulk statement, a cascade and a tool of somebody else count like the rest.
A row that stays what it was in all columns that are shown writes nothing. While nobody follows, nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, MetaData, Table, event

from shieldwall.server.storage.tables import triggers
from shieldwall.server.storage.tables.change_schema import directory_changes
from shieldwall.server.storage.tables.columns import metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A table that is followed, and in which feed.

    ``key`` are the columns that name a row, ``shown`` those that are shown of it. ``id`` and ``other`` say what a
    change is about, as SQL with ``{row}`` for the row that changed; where ``other`` is null, nothing is written.
    ``tenant`` says whose it is, and ``source`` where all this is read, if not in that row.
    """

    table: str
    feed: str
    kind: str
    key: tuple[str, ...]
    id: str
    other: str
    shown: tuple[str, ...] = ()
    tenant: str = "{row}.tenant_id"
    source: str = ""
    members: str = ""
    """Of devices, where their memberships stand: these go with a device, and nobody could say afterwards of which."""


FOLLOWED: Final = (
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
        members=(
            "SELECT OLD.tenant_id, 'member', groups.id, OLD.object_id FROM group_members"
            " JOIN groups ON groups.number = group_members.group_number WHERE device_number = OLD.number"
        ),
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
        key=("group_number", "device_number"),
        id="groups.id",
        other="devices.object_id",
        tenant="groups.tenant_id",
        source="groups JOIN devices ON groups.number = {row}.group_number AND devices.number = {row}.device_number",
    ),
)
"""A column that comes to be shown in Graph belongs here, and into a migration that makes the triggers anew."""


LOCK: Final = 0x5348_4645
"""The number means "following" to us and nothing to PostgreSQL.

Whoever changes something holds it in common with others. Whoever begins to follow holds it alone, and so waits for all
who may have looked and seen that nobody does.
"""


def create(connection: Connection, followed: Iterable[Followed] = FOLLOWED) -> None:
    """Follow tables from now on; triggers of theirs that are there already are made anew."""
    followed = tuple(followed)
    drop(connection, followed)
    for each in followed:
        for statement in _created(each, connection.dialect.name):
            connection.exec_driver_sql(statement)


def drop(connection: Connection, followed: Iterable[Followed] = FOLLOWED) -> None:
    """Follow tables no more."""
    followed_events = [(_name(each, event_name), each.table) for each in followed for event_name in _EVENTS]
    for name, table in (*followed_events, (_REMOVED_WITH_DEVICE, "devices")):
        triggers.drop(connection, name, table)


@event.listens_for(metadata, "after_create")
def _follow_new_tables(_metadata: MetaData, connection: Connection, tables: Iterable[Table], **_others: Any) -> None:
    if directory_changes in tables:
        create(connection)


_EVENTS: Final = ("added", "changed", "renamed", "removed")


_REMOVED_WITH_DEVICE: Final = "follow_members_of_devices_removed"


def _created(each: Followed, dialect: str) -> Iterator[str]:
    """Write the statements for one table: rows that come, change, get another name, and go."""
    named = (*each.shown, *each.key)
    events = {
        "added": ("INSERT", "NEW", ""),
        "changed": (f"UPDATE OF {', '.join(named)}", "NEW", _differs(named, dialect)),
        "renamed": (f"UPDATE OF {', '.join(each.key)}", "OLD", _differs(each.key, dialect)),
        "removed": ("DELETE", "OLD", ""),
    }
    for event_name, (cause, row, condition) in events.items():
        when = f" WHEN ({condition})" if condition else ""
        tenant, changed, other = (part.format(row=row) for part in (each.tenant, each.id, each.other))
        source = f" FROM {each.source.format(row=row)}" if each.source else ""
        values = f"SELECT {tenant}, '{each.kind}', {changed}, {other}{source} WHERE {other} IS NOT NULL"
        yield from _trigger(
            _name(each, event_name),
            f"AFTER {cause} ON {each.table} FOR EACH ROW{when}",
            _noted(each.feed, tenant, values),
            dialect,
        )
    if each.members:
        noted = _noted("groups", "OLD.tenant_id", each.members)
        yield from _trigger(_REMOVED_WITH_DEVICE, "BEFORE DELETE ON devices FOR EACH ROW", noted, dialect)


def _trigger(name: str, cause: str, noted: str, dialect: str) -> Iterator[str]:
    locked = f"PERFORM pg_advisory_xact_lock_shared({LOCK}); {noted}; RETURN OLD"
    return triggers.create_statements(dialect, name, cause, noted if dialect == "sqlite" else locked)


def _noted(feed: str, tenant: str, source: str) -> str:
    """Write the statement that notes a change, or several.

    A row that waits for its version already is not written again, but PostgreSQL locks it all the same, and so nobody
    gives it a version before this transaction has ended.
    """
    return (
        f"INSERT INTO directory_changes (tenant_id, kind, id, other) {source}"  # noqa: S608 - all names are our own
        f" AND EXISTS (SELECT 1 FROM directory_feeds"
        f" WHERE tenant_id = {tenant} AND feed = '{feed}' AND is_followed)"
        " ON CONFLICT (tenant_id, kind, id, other) DO UPDATE SET version = NULL, at = NULL"
        " WHERE directory_changes.version IS NOT NULL"
    )


def _differs(columns: Iterable[str], dialect: str) -> str:
    operator = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    return " OR ".join(f"OLD.{column} {operator} NEW.{column}" for column in columns)


def _name(each: Followed, event_name: str) -> str:
    return f"follow_{each.table}_{event_name}"
