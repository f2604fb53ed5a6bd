"""Tables of changes that devices take up one after the other: what changed, and how far the server got by itself.

``tenants.aims_version`` counts such changes, and ``check_ins.aims_version`` says as of which of them the target and the
dynamic groups of a device are right. One whose version is lower than that of its tenant is *behind*.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, Table, false

from shieldwall.server.storage.tables.columns import NAME, UUID, Moment, metadata

aims_changes: Final = Table(
    "aims_changes",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("object_id", UUID),
    Column("at", Moment, nullable=False),
    Column("cause", NAME, nullable=False),
)
"""What each version stands for, while a device may be behind it; ``cause`` as in ``membership_events``."""

catching_up: Final = Table(
    "catching_up",
    metadata,
    Column("tenant_id", UUID, ForeignKey("tenants.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("behind", BigInteger),
    Column("place", UUID, nullable=False),
    Column("start", UUID, nullable=False),
    Column("is_second_half", Boolean, nullable=False, server_default=false()),
    Column("holder", UUID),
    Column("held_until", Moment),
)
"""How far the round is that brings a tenant's devices to a version.

``behind`` is how many it has still to bring there, and ``holder`` the process that is at it, until it falls silent.
Programs of the release before went through all devices: from ``start`` to the last id, and then from the first one to
``start``; ``place`` is the last one they passed. For them a round is always at its beginning.
"""
