from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.admin import AdminWorld, Client, create_admin_world
from tests.support.databases import bare_database, database, database_url, shared_database_url
from tests.support.second_tenant import with_second_tenant

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.schema import metadata

__all__ = ["bare_database", "database", "database_url", "shared_database_url"]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> AdminWorld:
    """One tenant, on each engine."""
    return create_admin_world(database, tmp_path / "data")


@pytest.fixture
def graph(world: AdminWorld) -> Iterator[Client]:
    """A program that may do everything."""
    with closing(world.application_client(*PERMISSIONS)) as client:
        yield client


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminWorld]:
    """One tenant for a whole module, on the embedded engine: for what the engine has no part in."""
    folder = tmp_path_factory.mktemp("embedded")
    opened = Database.at(folder / "shieldwall.db")
    with opened.write() as connection:
        metadata.create_all(connection)
    with with_second_tenant(opened):
        yield create_admin_world(opened, folder / "data")
    opened.close()


@pytest.fixture(scope="module")
def embedded_graph(embedded: AdminWorld) -> Iterator[Client]:
    """A program that may do everything in a tenant for a whole module."""
    with closing(embedded.application_client(*PERMISSIONS)) as client:
        yield client


@pytest.fixture
def ada(world: AdminWorld) -> Iterator[Client]:
    """A browser in which Ada is signed in."""
    with world.client() as client:
        world.sign_in(client)
        yield client
