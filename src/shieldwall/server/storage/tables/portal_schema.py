"""Tables of the admin center: how tenants stood over time, views that people keep, unfinished policies."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, String, Table, Text, UniqueConstraint

from shieldwall.server.storage.tables.columns import NAME, UUID, Moment, metadata

fleet_samples: Final = Table(
    "fleet_samples",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("figures", Text, nullable=False),
)
"""The figures of a tenant at a moment, as JSON of ``manager.figures``."""

saved_views: Final = Table(
    "saved_views",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("person_id", UUID, nullable=False),
    Column("page", String(64), nullable=False),
    Column("name", NAME, nullable=False),
    Column("query", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("tenant_id", "person_id", "page", "name"),
)
"""Filters and order of a list that somebody keeps under a name; each is its person's own."""

unfinished_policies: Final = Table(
    "unfinished_policies",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("tenant_id", UUID, ForeignKey("tenants.id"), nullable=False),
    Column("person_id", UUID, nullable=False),
    Column("policy_id", UUID, nullable=True),
    Column("document", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False, index=True),
)
"""What somebody has entered in the wizard and not saved yet; ``policy_id`` names the policy that it is to change."""
