"""Alembic's entry: run the revisions inside the transaction that ``storage.engine.migrate`` opened."""

from __future__ import annotations

from alembic import context

from shieldwall.server.storage.tables.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
