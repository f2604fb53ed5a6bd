from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.support.admin import AdminWorld, Client, create_admin_world
from tests.support.databases import bare_database, database, database_url
from tests.support.receivers import trusting_receivers
from tests.support.second_tenant import with_second_tenant

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.outgoing.client import Outgoing
from shieldwall.server.outgoing.rules import Address, OutgoingRules
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.schema import metadata

__all__ = ["bare_database", "database", "database_url"]


async def on_this_machine(_host: str) -> tuple[Address, ...]:
    return (ip_address("127.0.0.1"),)


def asking_this_machine(world: AdminWorld) -> AdminWorld:
    outgoing = Outgoing(rules=OutgoingRules(loopback=True), resolver=on_this_machine, trust=trusting_receivers)
    return replace(world, services=replace(world.services, outgoing=outgoing))


@pytest.fixture
def graph(world: AdminWorld) -> Iterator[Client]:
    """A program that may do everything."""
    with closing(world.application_client(*PERMISSIONS)) as client:
        yield client


@pytest.fixture(scope="module")
def embedded_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A program that may do everything, on the embedded engine and for a whole module: for what is refused."""
    folder = tmp_path_factory.mktemp("embedded")
    opened = Database.at(folder / "shieldwall.db")
    with opened.write() as connection:
        metadata.create_all(connection)
    with with_second_tenant(opened):
        made = asking_this_machine(create_admin_world(opened, folder / "data"))
        with closing(made.application_client(*PERMISSIONS)) as client:
            yield client
    opened.close()


@pytest.fixture
def world(database: Database, tmp_path: Path) -> AdminWorld:
    """One tenant, on each engine, whose server may ask receivers on this machine."""
    return asking_this_machine(create_admin_world(database, tmp_path / "data"))
