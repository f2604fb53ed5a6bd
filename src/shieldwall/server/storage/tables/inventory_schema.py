"""The tables that lists of devices are read from: a narrow row per device, and a narrower one with what is searched.

A row of ``devices`` holds a certificate and keys, so reading a hundred thousand of them to find fifty is slow, and
texts that devices choose may be too long for an index. Here every key is bounded. No index answers a search: it steps
over all rows, which is most of what it takes, so they hold nothing that it does not look at (decision 0094).

What may be changed of a device in one statement, without anybody reading the device, is copied by a trigger: its state,
its enrollment, its attestation and who manages it. Texts are written by ``inventory_rows.keep``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import DDL, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, event, false, text

from shieldwall.server.storage.tables.columns import NAME, SOME_ROOM, UUID, Moment, metadata
from shieldwall.server.storage.tables.tenant_numbers import tenant_column

LONGEST_KEY: Final = 64
KEY: Final = String(LONGEST_KEY).with_variant(String(LONGEST_KEY, collation="C"), "postgresql")
"""A text that orders alike on both engines, by its characters' numbers."""

FOLDED: Final = String(512).with_variant(String(512, collation="C"), "postgresql")
"""A whole name, folded (``folding``), for filters and orders that programs ask for; a letter may become two."""


def _by_number(name: str, *columns: str, **where: Any) -> tuple[Index, Index]:
    """Return an index in which rows that are alike are in the order of their numbers, for each engine.

    On SQLite the number of its row ends each entry by itself: named, it would stand there twice.
    """
    lasts: dict[str, tuple[str, ...]] = {"sqlite": (), "postgresql": ("number",)}
    of_sqlite, of_postgresql = (
        Index(name, *columns, *last, info={"engine": engine}, **where).ddl_if(dialect=engine)
        for engine, last in lasts.items()
    )
    return of_sqlite, of_postgresql


_EXPOSED: Final = text("exposure > 0")
_NOT_ACTIVE: Final = text("state <> 'active'")
"""Nearly all devices are active, well, and as they should be: an index holds those that are not (decision 0063)."""

inventory: Final = Table(
    "inventory",
    metadata,
    Column("device_id", UUID, ForeignKey("devices.id", ondelete="CASCADE"), nullable=False, unique=True),
    tenant_column(),
    Column("state", String(16), nullable=False),
    Column("name_key", KEY, nullable=False),
    Column("os_key", KEY, nullable=False),
    Column("agent_key", KEY, nullable=False),
    Column("os_type", String(32), nullable=False),
    Column("os_version", NAME, nullable=False),
    Column("agent_version", NAME, nullable=False),
    Column("managed_by", NAME, nullable=False),
    Column("enrollment_code", Integer, nullable=False),
    Column("attestation_level", String(8), nullable=False),
    Column("tags", Text, nullable=False),
    Column("engine_trouble", Boolean, nullable=False, server_default=false()),
    Column("report_trouble", Boolean, nullable=False, server_default=false()),
    Column("repaired", Integer, nullable=False, server_default="0"),
    Column("drifted", Integer, nullable=False, server_default="0"),
    Column("exposure", Integer, nullable=False, server_default="0"),
    Column("impaired", Boolean, nullable=False, server_default=false()),
    Column("name_folded", FOLDED, nullable=False, server_default=text("''")),
    Column("os_folded", FOLDED, nullable=False, server_default=text("''")),
    Column("registered_at", Moment, nullable=False, server_default="0"),
    Column("tags_key", KEY, nullable=False, server_default=text("''")),
    Column("number", Integer, ForeignKey("devices.number", ondelete="CASCADE"), primary_key=True),  # the device's
    *_by_number("ix_inventory_by_name", "tenant_id", "name_key"),
    *_by_number("ix_inventory_by_os", "tenant_id", "os_key"),
    *_by_number("ix_inventory_by_agent", "tenant_id", "agent_key"),
    Index(
        "ix_inventory_exposed",
        "tenant_id",
        "exposure",
        "device_id",
        sqlite_where=_EXPOSED,
        postgresql_where=_EXPOSED,
    ),
    *_by_number(
        "ix_inventory_troubled",
        "tenant_id",
        "impaired",
        "name_key",
        sqlite_where=text("impaired = 1"),
        postgresql_where=text("impaired"),
    ),
    Index("ix_inventory_device_id", "tenant_id", "device_id"),
    Index("ix_inventory_name_folded", "tenant_id", "name_folded", "device_id"),
    Index("ix_inventory_os_folded", "tenant_id", "os_folded", "name_folded", "device_id"),
    Index("ix_inventory_registered_at", "tenant_id", "registered_at", "device_id"),
    Index(
        "ix_inventory_figures",
        "tenant_id",
        "os_type",
        "state",
        "managed_by",
        "enrollment_code",
        "impaired",
        "repaired",
        "drifted",
    ),
    Index(
        "ix_inventory_other_states",
        "tenant_id",
        "state",
        "device_id",
        sqlite_where=_NOT_ACTIVE,
        postgresql_where=_NOT_ACTIVE,
    ),
    *_by_number("ix_inventory_by_manager", "tenant_id", "managed_by"),
    *_by_number("ix_inventory_by_enrollment", "tenant_id", "enrollment_code"),
    *_by_number("ix_inventory_by_attestation", "tenant_id", "attestation_level"),
    *_by_number("ix_inventory_by_tags", "tenant_id", "tags_key"),
    postgresql_with=SOME_ROOM,
)

device_texts: Final = Table(
    "device_texts",
    metadata,
    Column("number", Integer, ForeignKey("devices.number", ondelete="CASCADE"), primary_key=True),
    tenant_column(),
    Column("state", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "tenant_id"),
)
"""What a search looks through of each device (``inventory_rows.searched``), and what it asks beside that."""

_FOLLOWING: Final = {
    "inventory_follows": (
        ("state", "enrollment_code", "managed_elsewhere", "manager"),
        """
UPDATE inventory SET state = NEW.state, enrollment_code = NEW.enrollment_code,
    managed_by = CASE WHEN NEW.state IN ('active', 'quarantined', 'leaving') AND NEW.enrollment_code = 1 THEN 'MDE'
        ELSE COALESCE(NULLIF(NEW.managed_elsewhere, ''), NEW.manager, '') END
    WHERE device_id = NEW.id;
""",
    ),
    "inventory_follows_attestation": (
        ("attestation_level",),
        """
UPDATE inventory SET attestation_level = NEW.attestation_level WHERE device_id = NEW.id;
""",
    ),
    "device_texts_follow": (
        ("state",),
        """
UPDATE device_texts SET state = NEW.state WHERE number = NEW.number;
""",
    ),
}
"""What a device has that its rows here follow, and how. SQLite writes each index that names a column which is set, also
where its value stays: so nothing is set beside what changed."""


def _written(dialect: str) -> Iterator[str]:
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    for name, (columns, following) in _FOLLOWING.items():
        condition = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in columns)
        cause = f"AFTER UPDATE OF {', '.join(columns)} ON devices FOR EACH ROW WHEN ({condition})"
        if dialect == "sqlite":
            yield f"CREATE TRIGGER {name} {cause} BEGIN {following} END"
            continue
        body = f"BEGIN {following} RETURN NULL; END"
        yield f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$ {body} $$ LANGUAGE plpgsql"
        yield f"CREATE TRIGGER {name} {cause} EXECUTE FUNCTION {name}()"


TRIGGERS: Final = {dialect: tuple(_written(dialect)) for dialect in ("sqlite", "postgresql")}
"""A table of devices that is made anew (as SQLite's migrations do) needs them again."""

for _dialect, _statements in TRIGGERS.items():
    for _statement in _statements:
        made = DDL(_statement)  # type: ignore[no-untyped-call]  # as the library has it
        event.listen(inventory, "after_create", made.execute_if(dialect=_dialect))
