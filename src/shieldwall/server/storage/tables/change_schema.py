"""Tables of what changed in the directory, for those who follow it (decision 0031).

``directory_changes`` has at most one row for each object, the latest change of it. Triggers write it in the transaction
of the change, without a version, where ``directory_feeds`` says that somebody follows. That table counts the versions,
which are given out later, to those who read: only what is committed gets one, so none is overtaken by an earlier one.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, false

from shieldwall.server.storage.tables.columns import UUID, Moment, metadata

KIND: Final = String(16)

directory_feeds: Final = Table(
    "directory_feeds",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("feed", KIND, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("forgotten", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("read_at", Moment),
    Column("is_followed", Boolean, nullable=False, server_default=false()),
)

directory_changes: Final = Table(
    "directory_changes",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("kind", KIND, primary_key=True),
    Column("id", UUID, primary_key=True),
    Column("other", UUID, primary_key=True),
    Column("version", BigInteger),
    Column("at", Moment),
    Index(None, "tenant_id", "kind", "version", "id", "other"),
)
