"""A fleet in memory, and the transaction in which everything else is read that belongs to it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text
from tests.reporting.held import Following
from tests.support.manager_world import World
from tests.support.samples import TENANT_ID

from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.storage.tables.schema import devices


def in_database(connection: Connection) -> int:
    query = select(func.count()).select_from(devices).where(devices.c.tenant_id == TENANT_ID)
    return connection.execute(query).scalar_one()


def in_memory(fleet: HeldFleet | None) -> int:
    found = None if fleet is None else fleet.devices()
    return -1 if found is None else found.counts.devices


def join(world: World, number: int) -> None:
    with world.database.write() as connection:
        world.join(connection, number)


def test_the_fleet_is_as_the_transaction_shows_it(world: World) -> None:
    join(world, 1)
    following = Following(world)
    following.fleet()
    join(world, 2)
    with following.reports.view(TENANT_ID) as (connection, fleet):
        join(world, 3)
        assert (in_database(connection), in_memory(fleet)) == (2, 2)
    with following.reports.view(TENANT_ID) as (connection, fleet):
        assert (in_database(connection), in_memory(fleet)) == (3, 3)


def test_where_a_fleet_is_not_held_the_database_is_asked(world: World) -> None:
    join(world, 1)
    with Following(world).reports.view(TENANT_ID) as (connection, fleet):
        assert (in_database(connection), fleet) == (1, None)


def test_where_what_changed_cannot_be_read_the_database_is_asked_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL nothing more can be asked in the transaction in which something failed."""
    join(world, 1)
    following = Following(world)
    following.fleet()

    def broken(connection: Connection, *_: object) -> Any:
        connection.execute(text("SELECT nothing FROM nowhere"))

    monkeypatch.setattr(fleet_feed, "read", broken)
    with following.reports.view(TENANT_ID) as (connection, fleet):
        assert (in_database(connection), fleet) == (1, None)
