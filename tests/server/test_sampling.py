from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.admin import AdminWorld, create_admin_world
from tests.support.databases import bare_database, database, database_url
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.manager import samples
from shieldwall.server.periodic.sampling import EVERY_SECONDS, FIRST_AFTER_SECONDS, Sampling
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.inventory import inventory_twins
from shieldwall.server.storage.records import Tenant

__all__ = ["bare_database", "database", "database_url"]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> AdminWorld:
    return create_admin_world(database, tmp_path / "data")


def test_a_tenant_is_counted_and_what_was_counted_kept(world: AdminWorld) -> None:
    sampling = Sampling(services=world.services)
    sampling.sample(world.services.tenant)
    with world.writing() as connection:
        world.manager.join(connection, 1)
    world.clock.advance(seconds=EVERY_SECONDS)
    sampling.sample(world.services.tenant)
    with world.services.database.read() as connection:
        history = samples.history(connection, TENANT_ID, NOON)
    assert [(at - NOON, sample.devices) for at, sample in history] == [(timedelta(0), 0), (timedelta(minutes=5), 1)]


def test_who_came_is_compared_with_the_others_every_time(world: AdminWorld) -> None:
    alike = digest_of_bytes(b"one machine")
    with world.writing() as connection:
        world.manager.join(connection, 1)
        for number in (2, 3):
            world.manager.join(connection, number, machine_id_hash=alike)
        assert len(inventory_twins.suspects(connection, TENANT_ID, 0, 10)) == 3
    Sampling(services=world.services).sample(world.services.tenant)
    with world.services.database.read() as connection:
        found = inventory_twins.suspects(connection, TENANT_ID, 0, 10)
    assert [each.device_id for each in found] == [device_id(2), device_id(3)]


def test_a_tenant_that_cannot_be_counted_keeps_no_other_from_it_and_does_not_end_the_loop(
    world: AdminWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[float] = []
    asked: list[str] = []

    async def sleep(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 3:
            raise asyncio.CancelledError

    def fail(_: Sampling, tenant: Tenant) -> None:
        asked.append(str(tenant))
        raise RuntimeError("broken")

    monkeypatch.setattr(Sampling, "sample", fail)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Sampling(services=world.services, sleep=sleep).run())

    assert rounds == [FIRST_AFTER_SECONDS, EVERY_SECONDS, EVERY_SECONDS]
    assert len(asked) == 2 * len(set(asked)), "each tenant once a round"
