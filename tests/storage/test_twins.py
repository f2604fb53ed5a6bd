"""Devices with twins are found by those that may share hardware: the same ones that counting all hardware finds."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import Connection, Text, delete, insert, literal, select, update
from tests.support.databases import database_url, migrated_database_url
from tests.support.samples import TENANT_ID, a_device, a_tenant, device_id
from tests.support.triggers import triggers

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.inventory.twins import clear_suspects
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.inventory import inventory_twins
from shieldwall.server.storage.tables.digests import DIGEST
from shieldwall.server.storage.tables.schema import devices as rows
from shieldwall.server.storage.tables.schema import metadata
from shieldwall.server.storage.tables.twin_schema import twin_suspects
from shieldwall.server.storage.tenants import tenants

__all__ = ["database_url", "migrated_database_url"]

OTHERS = TenantId("00000000-0000-4000-8000-00000000000c")
TENANTS = (TENANT_ID, OTHERS)
HARDWARE = ("machine_id_hash", "smbios_uuid_hash", "tpm_ek_hash")
WORDS = dict(zip(("machineId", "smbiosUuid", "tpmEndorsementKey"), HARDWARE, strict=True))
OURS = rows.c.tenant_id.in_(TENANTS)
NUMBERS = range(1, 7)
VALUES = (None, digest_of_bytes(b"one"), digest_of_bytes(b"two"))
STATES = (DeviceState.ACTIVE, DeviceState.PENDING, DeviceState.RETIRED)

some_hardware = some.fixed_dictionaries({name: some.sampled_from(VALUES) for name in HARDWARE})
some_rows = some.fixed_dictionaries({"state": some.sampled_from(STATES), "tenant_id": some.sampled_from(TENANTS)})
some_acts = some.sampled_from(["put", "put", "put", "state", "go", "look", "clear"])
some_steps = some.lists(some.tuples(some_acts, some.sampled_from(NUMBERS), some_hardware, some_rows), max_size=20)


@pytest.fixture
def twins_database(tenant_database: Database) -> Database:
    with tenant_database.write() as connection:
        tenants.add(connection, a_tenant(id=OTHERS, domain="third.example"))
    return tenant_database


def counted(connection: Connection, tenant_id: TenantId) -> list[DeviceId]:
    """The plain way: all hardware of those who are not retired."""
    here = rows.c.tenant_id == tenant_id, rows.c.state != DeviceState.RETIRED.value
    found = [row._asdict() for row in connection.execute(select(rows).where(*here))]
    named = Counter((name, row[name]) for row in found for name in HARDWARE if row[name] is not None)
    return sorted(DeviceId(row["id"]) for row in found if any(named[name, row[name]] > 1 for name in HARDWARE))


def twins(connection: Connection, tenant_id: TenantId) -> list[DeviceId]:
    fitting = inventory_twins.is_twin(connection, tenant_id, rows.c.id)
    return sorted(map(DeviceId, connection.scalars(select(rows.c.id).where(fitting))))


def assert_true(connection: Connection) -> None:
    for tenant_id in TENANTS:
        assert twins(connection, tenant_id) == counted(connection, tenant_id)


def assert_pairs_true(connection: Connection, tenant_id: TenantId) -> None:
    """Who shares what with whom is what looking at every two devices says, whichever of them are asked about."""
    here = rows.c.tenant_id == tenant_id, rows.c.state != DeviceState.RETIRED.value
    there = devices.find_many(connection, connection.scalars(select(rows.c.id).where(*here)))
    for asked in (there, there[::2][::-1]):
        expected = [
            (name, one.id, other.id)
            for name in HARDWARE
            for one in sorted(asked, key=lambda device: device.id)
            for other in there
            if one is not other and getattr(one, name) == getattr(other, name) is not None
        ]
        found = inventory_twins.shared_hardware(connection, tenant_id, asked)
        assert [(WORDS[word], one, other) for one, other, word in found] == expected


def suspected(connection: Connection, tenant_id: TenantId = TENANT_ID) -> list[DeviceId]:
    return [each.device_id for each in inventory_twins.suspects(connection, tenant_id, 0, 100)]


def columns(number: int, **changes: Any) -> dict[str, Any]:
    plain = {"machine_id_hash": None, "smbios_uuid_hash": None, "tpm_ek_hash": None}
    return devices.columns_of_device(a_device(number, **(plain | changes)))


def as_texts(number: int, **changes: Any) -> dict[str, Any]:
    """The same as it was before digests were bytes."""
    found = columns(number, **changes)
    return {
        name: literal(value, Text()) if value is not None and rows.c[name].type is DIGEST else value
        for name, value in found.items()
    }


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=some_steps)
def test_twins_are_those_that_counting_finds_whoever_looks_and_clears_late(
    twins_database: Database, steps: list[Any]
) -> None:
    looked: tuple[inventory_twins.Suspect, ...] = ()
    with twins_database.write() as connection:
        connection.execute(delete(rows).where(OURS))
        for act, number, hardware, row in steps:
            this = rows.c.id == device_id(number)
            match act:
                case "put":
                    values = columns(number, **hardware, **row)
                    if connection.execute(update(rows).where(this).values(values)).rowcount == 0:
                        connection.execute(insert(rows).values(values))
                case "state":
                    connection.execute(update(rows).where(this).values(state=row["state"].value))
                case "go":
                    connection.execute(delete(rows).where(this))
                case "look":
                    whose = row["tenant_id"]
                    found = inventory_twins.suspects(connection, whose, 0, 100)
                    looked = inventory_twins.alone(connection, whose, found)
                case _:
                    inventory_twins.clear(connection, looked)
            assert_true(connection)
        for tenant_id in TENANTS:
            assert_pairs_true(connection, tenant_id)
        connection.execute(update(rows).where(OURS).values(state=DeviceState.ACTIVE.value))
        assert_true(connection)


def test_who_shares_nothing_is_cleared_and_who_shares_something_stays(
    twins_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shieldwall.server.inventory.twins.AT_ONCE", 2)
    with twins_database.write() as connection:
        for number in range(1, 8):
            alike = VALUES[1] if number in {2, 5} else digest_of_bytes(b"%d" % number)
            connection.execute(insert(rows).values(columns(number, machine_id_hash=alike)))
        connection.execute(insert(rows).values(columns(8, machine_id_hash=VALUES[1], tenant_id=OTHERS)))
    assert clear_suspects(twins_database, TENANT_ID) == 5
    with twins_database.read() as connection:
        assert suspected(connection) == [device_id(2), device_id(5)]
        assert suspected(connection, OTHERS) == [device_id(8)]
    with twins_database.write() as connection:
        connection.execute(update(rows).where(OURS).values(display_name="another", state=DeviceState.DISABLED.value))
        assert suspected(connection) == [device_id(2), device_id(5)]
        connection.execute(delete(rows).where(rows.c.id == device_id(2)))
    assert clear_suspects(twins_database, TENANT_ID) == 2
    with twins_database.read() as connection:
        assert suspected(connection) == []
        assert twins(connection, TENANT_ID) == []


def test_no_device_is_looked_at_but_the_suspects_and_their_twins(twins_database: Database) -> None:
    """What nobody is suspected of is not found: so it is known that nothing else is asked."""
    with twins_database.write() as connection:
        for number in (1, 2):
            connection.execute(insert(rows).values(columns(number, smbios_uuid_hash=VALUES[1])))
        ours = delete(twin_suspects).where(twin_suspects.c.tenant_id == TENANT_ID)
        connection.execute(ours.where(twin_suspects.c.device_id == device_id(2)))
        assert twins(connection, TENANT_ID) == [device_id(1), device_id(2)]
        connection.execute(ours)
        assert twins(connection, TENANT_ID) == []


@pytest.mark.parametrize("most", [0, 1, 100])
def test_many_suspects_have_all_hardware_counted(
    twins_database: Database, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(inventory_twins, "MOST_SUSPECTED", most)
    with twins_database.write() as connection:
        for number in range(1, 5):
            values = columns(
                number, smbios_uuid_hash=VALUES[1 + number % 2], tpm_ek_hash=digest_of_bytes(b"%d" % number)
            )
            connection.execute(insert(rows).values(values))
        connection.execute(insert(rows).values(columns(5, smbios_uuid_hash=VALUES[1], tenant_id=OTHERS)))
        assert_true(connection)
        assert len(twins(connection, TENANT_ID)) == 4


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_two_who_come_at_the_same_moment_are_found_whoever_is_seen_first(twins_database: Database) -> None:
    clone = {"machine_id_hash": VALUES[1]}
    with twins_database.write() as earlier:
        earlier.execute(insert(rows).values(columns(1, **clone)))
        with twins_database.write() as later:
            later.execute(insert(rows).values(columns(2, **clone)))
        assert clear_suspects(twins_database, TENANT_ID) == 1
    with twins_database.read() as connection:
        assert suspected(connection) == [device_id(1)]
        assert twins(connection, TENANT_ID) == [device_id(1), device_id(2)]
    assert clear_suspects(twins_database, TENANT_ID) == 0


def test_the_triggers_of_a_migrated_database_are_those_of_a_new_one(database_url: str) -> None:
    with closing(Database(database_url)) as database:
        with database.write() as connection:
            metadata.create_all(connection)
            made = triggers(connection, "twins_")
            metadata.drop_all(connection)
        migrate.upgrade(database)
        with database.read() as connection:
            assert triggers(connection, "twins_") == made
    assert len(made) == 2


def test_those_that_were_there_before_are_suspected(migrated_database_url: str) -> None:
    with closing(Database(migrated_database_url)) as database, database.rebuild() as connection:
        tenants.add(connection, a_tenant())
        tenants.add(connection, a_tenant(id=OTHERS, domain="third.example"))
        command.downgrade(migrate._config(connection), "0031_0023")
        for number in (1, 2, 3):
            connection.execute(insert(rows).inline().values(as_texts(number, machine_id_hash=VALUES[1])))
        connection.execute(insert(rows).inline().values(as_texts(4, smbios_uuid_hash=VALUES[1])))
        connection.execute(insert(rows).inline().values(as_texts(5, smbios_uuid_hash=VALUES[1], tenant_id=OTHERS)))
        command.upgrade(migrate._config(connection), "head")
        assert sorted(suspected(connection)) == [device_id(number) for number in (1, 2, 3)]
        assert_true(connection)
        connection.execute(insert(rows).values(columns(6, smbios_uuid_hash=VALUES[1])))
        connection.execute(update(rows).where(rows.c.id == device_id(1)).values(machine_id_hash=VALUES[2]))
        assert sorted(suspected(connection)) == [device_id(number) for number in (1, 1, 2, 3, 6)]
        assert_true(connection)
