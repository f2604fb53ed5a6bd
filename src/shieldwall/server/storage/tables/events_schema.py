"""Tables of events on their way to others: what happened in the order of commits, who hears of it, and how far."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from shieldwall.server.storage.tables.columns import NAME, UUID, Moment, metadata

_NOTHING: Final = text("''")

outbox: Final = Table(
    "outbox",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("id", UUID, nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(128), nullable=False),
    Column("details", Text, nullable=False),
    Index(None, "tenant_id", "sequence"),
    Index(None, "id"),
)
"""``sequence`` is given out as a transaction commits, see ``storage.engine.outbox``."""

receivers: Final = Table(
    "receivers",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("sort", String(16), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("url", Text, nullable=False),
    Column("event_kinds", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("former_secret", LargeBinary),
    Column("former_until", Moment),
    Column("enabled", Boolean, nullable=False),
    Column("switched_off_because", Text, nullable=False, server_default=_NOTHING),
    Column("created_at", Moment, nullable=False),
    Column("created_by", NAME, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("cursor", BigInteger, nullable=False),
    Column("missed", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since", Moment),
    Column("next_attempt_at", Moment),
    Column("last_success_at", Moment),
    Column("last_failure_at", Moment),
    Column("last_failure", Text, nullable=False, server_default=_NOTHING),
)
"""``sort`` is ``webhook`` or ``subscription``; ``cursor`` the sequence up to which everything has been seen to."""

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("receiver_id", UUID, ForeignKey("receivers.id", ondelete="CASCADE"), primary_key=True),
    Column("event_id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("event_kind", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer),
    Column("cause", Text, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Index(None, "receiver_id", "sequence"),
)

stream_cursors: Final = Table(
    "stream_cursors",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("stream", String(64), primary_key=True),
    Column("cursor", BigInteger, nullable=False),
    Column("missed", Integer, nullable=False, server_default="0"),
    Column("moved_at", Moment, nullable=False),
)
"""How far each sink of the audit stream is; the rows belong to the home tenant, whose administrators run the server."""
