"""What a search looks through is what the devices are, and their ids by how they begin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import Column, MetaData, String, Table, event, or_, select, update
from tests.support.samples import NOON, TENANT_ID, a_device, a_tenant, device_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.migrate import upgrade
from shieldwall.server.storage.inventory import inventory
from shieldwall.server.storage.inventory.inventory_queries import Cut, Filter
from shieldwall.server.storage.inventory.inventory_search import beginnings
from shieldwall.server.storage.tables.schema import device_texts, metadata
from shieldwall.server.storage.tables.schema import devices as device_rows
from shieldwall.server.storage.tenants import tenant_sizes, tenants

EVERYBODY = Filter(inactive_before=NOON - timedelta(days=7), states=frozenset(DeviceState))
IDS = tuple(map("".join, product("adf0-", repeat=5)))
"""All letters that may be one with the next somewhere, in all orders, and two others."""


def found(database: Database, search: str, asked: Filter = EVERYBODY) -> tuple[str, ...] | None:
    with database.read() as connection:
        return inventory.few(connection, TENANT_ID, replace(asked, search=search))


def test_who_is_renamed_is_found_by_the_new_name_alone(tenant_database: Database) -> None:
    device = a_device(1, display_name="Before")
    with tenant_database.write() as connection:
        devices.add(connection, device)
        devices.add(connection, a_device(2, display_name="Before too"))
        devices.put(connection, replace(device, display_name="After"))

    assert found(tenant_database, "after") == (device.id,)
    assert found(tenant_database, "before") == (device_id(2),)


@pytest.mark.parametrize("migrated", [False, True])
def test_a_state_that_is_written_to_devices_holds_for_searches(database_url: str, migrated: bool) -> None:
    database = Database(database_url)
    upgrade(database)
    with database.write() as connection:
        if not migrated:
            metadata.drop_all(connection)
            metadata.create_all(connection)
        tenants.add(connection, a_tenant())
        for number in (1, 2):
            devices.add(connection, a_device(number, display_name="web"))
        connection.execute(update(device_rows).where(device_rows.c.id == device_id(2)).values(state="retired"))
        states = connection.scalars(select(device_texts.c.state).order_by(device_texts.c.number)).all()
    present = replace(EVERYBODY, states=frozenset(DeviceState) - {DeviceState.RETIRED})

    assert states == ["active", "retired"]
    assert found(database, "web", present) == (device_id(1),)
    with database.write() as connection:
        connection.execute(device_rows.delete().where(device_rows.c.id == device_id(1)))
        assert len(connection.execute(select(device_texts)).all()) == 1
    database.close()


def test_a_search_that_finds_nobody_reads_no_devices(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        devices.add(connection, a_device(1))
    told: list[str] = []
    with tenant_database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: told.append(given[2]))
        asked = replace(EVERYBODY, search="nobody's", os_types=frozenset({"Linux"}))
        assert inventory.few(connection, TENANT_ID, asked) == ()

    assert any("device_texts" in each for each in told)
    assert not any("FROM inventory" in each or "FROM devices" in each for each in told)


# SQLite compares texts by the numbers of their characters; PostgreSQL as whoever made the database said.
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("collation", ["C", "da-x-icu", "cy-x-icu", "ko-x-icu", "und-x-icu"])
def test_beginnings_are_found_whatever_language_a_database_orders_by(database: Database, collation: str) -> None:
    ids = Table("some_ids", MetaData(), Column("id", String(36, collation=collation)), prefixes=["TEMPORARY"])
    with database.write() as connection:
        ids.create(connection, checkfirst=False)
        connection.execute(ids.insert(), [{"id": each} for each in IDS])
        for begun in map("".join, product("adf0", repeat=4)):
            expected = {each for each in IDS if each.startswith(begun)}
            assert set(connection.scalars(select(ids.c.id).where(or_(*beginnings(ids.c.id, begun))))) == expected, begun
        ids.drop(connection)


def test_of_no_state_nobody_is_found(tenant_database: Database) -> None:
    nobody = replace(EVERYBODY, search="web", states=frozenset())
    with tenant_database.write() as connection:
        devices.add(connection, a_device(1, display_name="web"))
    with tenant_database.read() as connection:
        assert inventory.count(connection, TENANT_ID, nobody) == 0
        assert inventory.few(connection, TENANT_ID, nobody) == ()
        assert inventory.portion(connection, TENANT_ID, nobody, Cut()) == ()


@pytest.mark.parametrize("few_rows", [tenant_sizes.FEW_ROWS, 0])
def test_a_small_tenant_is_searched_by_its_index_and_a_large_one_in_a_pass(
    tenant_database: Database, monkeypatch: pytest.MonkeyPatch, few_rows: int
) -> None:
    monkeypatch.setattr(tenant_sizes, "FEW_ROWS", few_rows)
    other, told = TenantId("77777777-0000-4000-8000-000000000001"), list[str]()
    with tenant_database.write() as connection:
        tenants.add(connection, replace(a_tenant(), id=other, domain="other.example"))
        devices.add(connection, a_device(1, display_name="web"))
        devices.add(connection, a_device(2, display_name="web", tenant_id=other))
    with tenant_database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: told.append(given[2]))
        assert inventory.few(connection, TENANT_ID, replace(EVERYBODY, search="web")) == (device_id(1),)
        assert inventory.few(connection, other, replace(EVERYBODY, search="web")) == (device_id(2),)
        assert inventory.few(connection, other, replace(EVERYBODY, is_duplicate=False)) == (device_id(2),)
    plain = [each for each in told if "LIKE" in each and "device_texts.tenant_number =" in each]
    assert bool(plain) == (few_rows > 0) or not tenant_database.is_sqlite, "an index answers only the plain column"
