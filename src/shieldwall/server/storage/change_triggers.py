"""The triggers that write down what changes in the directory, for both engines (decision 0031).

They stand where nothing can forget them: a bulk statement, a cascade and a tool of somebody else count like the rest.
A row that stays what it was in all columns that are shown writes nothing. While nobody follows, nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, MetaData, Table, event

from shieldwall.server.storage.change_schema import directory_changes
from shieldwall.server.storage.columns import metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A table that is followed: in which feed, what names a row, and which columns are shown of it."""

    table: str
    feed: str
    kind: str
    id: str
    other: str | None
    shown: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that name a row."""
        return (self.id,) if self.other is None else (self.id, self.other)


FOLLOWED: Final = (
    Followed(
        table="devices",
        feed="devices",
        kind="device",
        id="id",
        other="object_id",
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
    ),
    Followed(
        table="registrations",
        feed="devices",
        kind="registration",
        id="device_id",
        other="object_id",
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
        id="id",
        other=None,
        shown=("display_name", "description", "mail_nickname", "membership_rule", "processing_state", "created_at"),
    ),
    Followed(table="group_members", feed="groups", kind="member", id="group_id", other="device_id", shown=()),
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
    for each in followed:
        for event_name in _EVENTS:
            name = _name(each, event_name)
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
            else:
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name} ON {each.table}")
                connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")


@event.listens_for(metadata, "after_create")
def _follow_new_tables(_metadata: MetaData, connection: Connection, tables: Iterable[Table], **_others: Any) -> None:
    if directory_changes in tables:
        create(connection)


_EVENTS: Final = ("added", "changed", "renamed", "removed")


def _created(each: Followed, dialect: str) -> Iterator[str]:
    """Write the statements for one table: rows that come, change, get another name, and go."""
    events = {
        "added": ("INSERT", "NEW", ""),
        "changed": (
            f"UPDATE OF {', '.join((*each.shown, *each.key))}",
            "NEW",
            _differs((*each.shown, *each.key), dialect),
        ),
        "renamed": (f"UPDATE OF {', '.join(each.key)}", "OLD", _differs(each.key, dialect)),
        "removed": ("DELETE", "OLD", ""),
    }
    for event_name, (cause, row, condition) in events.items():
        name, noted = _name(each, event_name), _noted(each, row)
        when = f" WHEN ({condition})" if condition else ""
        if dialect == "sqlite":
            yield f"CREATE TRIGGER {name} AFTER {cause} ON {each.table} FOR EACH ROW{when} BEGIN {noted}; END"
        else:
            yield (
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN PERFORM pg_advisory_xact_lock_shared({LOCK}); {noted}; RETURN NULL; END $$"
            )
            yield (f"CREATE TRIGGER {name} AFTER {cause} ON {each.table} FOR EACH ROW{when} EXECUTE FUNCTION {name}()")


def _noted(each: Followed, row: str) -> str:
    """Write the statement that notes a change.

    A row that waits for its version already is not written again, but PostgreSQL locks it all the same, and so nobody
    gives it a version before this transaction has ended.
    """
    other = "''" if each.other is None else f"{row}.{each.other}"
    return (
        "INSERT INTO directory_changes (tenant_id, kind, id, other)"  # noqa: S608 - all names here are our own
        f" SELECT {row}.tenant_id, '{each.kind}', {row}.{each.id}, {other}"
        f" WHERE EXISTS (SELECT 1 FROM directory_feeds"
        f" WHERE tenant_id = {row}.tenant_id AND feed = '{each.feed}' AND is_followed)"
        " ON CONFLICT (tenant_id, kind, id, other) DO UPDATE SET version = NULL, at = NULL"
        " WHERE directory_changes.version IS NOT NULL"
    )


def _differs(columns: Iterable[str], dialect: str) -> str:
    operator = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    return " OR ".join(f"OLD.{column} {operator} NEW.{column}" for column in columns)


def _name(each: Followed, event_name: str) -> str:
    return f"follow_{each.table}_{event_name}"
