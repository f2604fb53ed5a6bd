"""Tables of who may what: custom roles, role assignments, scope tags, and people in groups."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text

from shieldwall.server.storage.tables.columns import NAME, UUID, Moment, metadata

TAG: Final = String(16)

role_definitions: Final = Table(
    "role_definitions",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("actions", Text, nullable=False),
    Column("role_scope_tag_ids", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Index(None, "tenant_id", "display_name"),
)

role_assignments: Final = Table(
    "role_assignments",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("role_id", UUID, nullable=False),
    Column("display_name", NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("members", Text, nullable=False),
    Column("scope_type", String(32), nullable=False),
    Column("scope_groups", Text, nullable=False),
    Column("role_scope_tag_ids", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("modified_at", Moment, nullable=False),
)

scope_tags: Final = Table(
    "scope_tags",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("id", TAG, primary_key=True),
    Column("display_name", NAME, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

scope_tag_groups: Final = Table(
    "scope_tag_groups",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("tag_id", TAG, primary_key=True),
    Column("group_id", UUID, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True),
)

device_scope_tags: Final = Table(
    "device_scope_tags",
    metadata,
    Column("device_id", UUID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", TAG, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Index(None, "tenant_id", "tag_id"),
)

group_people: Final = Table(
    "group_people",
    metadata,
    Column("group_id", UUID, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("person_id", UUID, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
)
