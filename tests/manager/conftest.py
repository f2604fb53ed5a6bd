from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.databases import bare_database, database, database_url
from tests.support.manager_world import World, add_tenant
from tests.support.samples import TENANT_ID, CountingIds, HandClock

from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.storage.engine.database import Database

__all__ = ["bare_database", "database", "database_url"]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load()


@pytest.fixture
def world(database: Database, catalog: Catalog, tmp_path: Path) -> World:
    add_tenant(database)
    clock = HandClock()
    return World(
        database=database,
        catalog=catalog,
        signer=InProcessSigner.create(tmp_path / "data", TENANT_ID, clock),
        clock=clock,
        new_id=CountingIds(),
    )
