from __future__ import annotations

import pytest
from tests.support.databases import bare_database, database, database_url
from tests.support.samples import a_tenant

from shieldwall.server.storage import tenants
from shieldwall.server.storage.database import Database

__all__ = ["bare_database", "database", "database_url", "tenant_database"]


@pytest.fixture
def tenant_database(database: Database) -> Database:
    """A database that knows one tenant, ``a_tenant()``."""
    with database.write() as connection:
        tenants.add(connection, a_tenant())
    return database
