from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from tests.support.databases import bare_database, database, database_url
from tests.support.office import Office
from tests.support.samples import a_tenant

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tenants import tenants

__all__ = ["bare_database", "connection", "database", "database_url", "office"]


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """A write transaction of a database that knows one tenant."""
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        yield connection
