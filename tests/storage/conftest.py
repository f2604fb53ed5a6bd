from __future__ import annotations

import pytest
from tests.support.databases import bare_database, database, database_url
from tests.support.samples import a_tenant

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tenants import tenants

__all__ = ["bare_database", "database", "database_url", "tenant_database"]


@pytest.fixture
def tenant_database(database: Database) -> Database:
    """A database that knows one tenant, ``a_tenant()``."""
    with database.write() as connection:
        tenants.add(connection, a_tenant())
    return database
