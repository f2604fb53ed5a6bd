"""Tables of reports that were asked for to be fetched later, and of what was ordered of machines."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, text

from shieldwall.server.storage.tables.columns import NAME, UUID, Moment, metadata

_NOTHING: Final = text("''")
_NO_NAMES: Final = text("'[]'")

cached_reports: Final = Table(
    "cached_reports",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("report_name", String(128), nullable=False),
    Column("filter", Text, nullable=False, server_default=_NOTHING),
    Column("selected", Text, nullable=False, server_default=_NO_NAMES),
    Column("order_by", Text, nullable=False, server_default=_NO_NAMES),
    Column("about", Text, nullable=False, server_default=_NOTHING),
    Column("refreshed_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

export_jobs: Final = Table(
    "export_jobs",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("report_name", String(128), nullable=False),
    Column("filter", Text, nullable=False, server_default=_NOTHING),
    Column("selected", Text, nullable=False, server_default=_NO_NAMES),
    Column("search", Text, nullable=False, server_default=_NOTHING),
    Column("file_format", String(8), nullable=False),
    Column("localization", String(64), nullable=False),
    Column("token", String(64), nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Index("uq_export_jobs_token", "token", unique=True),
)

machine_actions: Final = Table(
    "machine_actions",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("device_id", UUID, nullable=False),
    Column("device_name", NAME, nullable=False),
    Column("type", String(32), nullable=False),
    Column("requestor", NAME, nullable=False),
    Column("comment", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("cancelled_by", NAME),
    Column("cancel_comment", Text),
    Column("cancelled_at", Moment),
    Column("former", Text, nullable=False, server_default=_NOTHING),
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "device_id", "status"),
)
