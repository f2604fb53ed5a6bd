"""Who may see all tenants of the server: said in the invitation, and kept with the session.

Revision ID: 0008
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, false

revision = "0008"
down_revision = "0007"

_TABLES = ("invitations", "sessions")


def upgrade() -> None:
    """Add the columns; nobody who is invited or signed in already sees more than before."""
    for table in _TABLES:
        op.add_column(table, Column("sees_tenants", Boolean(), nullable=False, server_default=false()))


def downgrade() -> None:
    """Take them away."""
    for table in _TABLES:
        op.drop_column(table, "sees_tenants")
