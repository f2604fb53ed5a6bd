from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.databases import database, database_url
from tests.support.enrolment import running_signer
from tests.support.office import Office
from tests.support.samples import a_tenant

from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage import tenants
from shieldwall.server.storage.database import Database

__all__ = ["database", "database_url", "office", "signer", "tenant_database"]


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def tenant_database(database: Database) -> Database:
    """A database that knows one tenant."""
    with database.write() as connection:
        tenants.add(connection, a_tenant())
    return database


@pytest.fixture
def signer(tmp_path: Path, office: Office) -> Iterator[SignerService]:
    with running_signer(tmp_path / "signer", office.clock) as running:
        yield running
