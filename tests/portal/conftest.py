from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.admin import AdminWorld, Client, create_admin_world
from tests.support.databases import bare_database, database, database_url

from shieldwall.server.storage.engine.database import Database

__all__ = ["bare_database", "database", "database_url"]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> AdminWorld:
    return create_admin_world(database, tmp_path / "data")


@pytest.fixture
def client(world: AdminWorld) -> Iterator[Client]:
    """A browser without cookies."""
    with world.client() as client:
        yield client


@pytest.fixture
def ada(world: AdminWorld) -> Iterator[Client]:
    """A browser in which Ada is signed in."""
    with world.client() as client:
        world.sign_in(client)
        yield client
