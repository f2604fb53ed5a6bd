"""Tables of the fleet feed: which devices changed, in what is kept of fleets in memory, and who reads that.

``fleet_changes`` has one narrow row for each change, written by triggers (``fleet_triggers``) in the transaction of the
change. ``xid`` is the transaction, by PostgreSQL's number; nought on SQLite, where one writes after the other.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from shieldwall.server.storage.tables.columns import UUID, Moment, metadata

NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite gives numbers by itself to what it calls an integer."""

fleet_changes: Final = Table(
    "fleet_changes",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("xid", BigInteger, nullable=False, server_default="0"),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("device_id", UUID, nullable=False),
    Column("what", Integer, nullable=False),
    Index(None, "xid", "number"),
    sqlite_autoincrement=True,  # a number is never given twice, also when all before it are forgotten
)

fleet_readers: Final = Table(
    "fleet_readers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("mark", String(64), nullable=False),
    Column("xid", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("read_at", Moment, nullable=False),
)
"""Who reads, and how far. The rows belong to the home tenant."""
