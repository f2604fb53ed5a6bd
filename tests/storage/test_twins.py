"""Devices with twins are marked as they come, change and go: the same ones that counting all hardware finds."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import Connection, delete, insert, select, update
from tests.support.databases import migrated_database_url
from tests.support.samples import NOON, TENANT_ID, a_device, a_tenant, device_id

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.inventory import machines
from shieldwall.server.inventory.machines import Wanted
from shieldwall.server.storage import check_ins, devices, inventory_twins, migrate, tenants
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.schema import devices as rows
from shieldwall.server.storage.twin_schema import device_twins

__all__ = ["migrated_database_url"]

OTHERS = TenantId("00000000-0000-4000-8000-00000000000c")
HARDWARE = ("machine_id_hash", "smbios_uuid_hash", "tpm_ek_hash")
OURS = rows.c.tenant_id.in_([TENANT_ID, OTHERS])
MARKED = select(device_twins.c.device_id).where(device_twins.c.tenant_id.in_([TENANT_ID, OTHERS]))
NUMBERS = range(1, 7)
VALUES = (None, digest_of_bytes(b"one"), digest_of_bytes(b"two"))
STATES = (DeviceState.ACTIVE, DeviceState.PENDING, DeviceState.RETIRED)

some_hardware = some.fixed_dictionaries({name: some.sampled_from(VALUES) for name in HARDWARE})
some_rows = some.fixed_dictionaries(
    {"state": some.sampled_from(STATES), "tenant_id": some.sampled_from([TENANT_ID, OTHERS])}
)
some_steps = some.lists(
    some.tuples(some.sampled_from(["put", "put", "go"]), some.sampled_from(NUMBERS), some_hardware, some_rows),
    max_size=12,
)


@pytest.fixture
def twins_database(tenant_database: Database) -> Database:
    with tenant_database.write() as connection:
        tenants.add(connection, a_tenant(id=OTHERS, domain="third.example"))
    return tenant_database


def counted(connection: Connection, tenant_id: TenantId) -> set[DeviceId]:
    """The plain way: all hardware of those who are not retired."""
    here = rows.c.tenant_id == tenant_id, rows.c.state != DeviceState.RETIRED.value
    found = [row._asdict() for row in connection.execute(select(rows).where(*here))]
    named = Counter((name, row[name]) for row in found for name in HARDWARE if row[name] is not None)
    return {DeviceId(row["id"]) for row in found if any(named[name, row[name]] > 1 for name in HARDWARE)}


def assert_true(connection: Connection) -> None:
    for tenant_id in (TENANT_ID, OTHERS):
        marked = list(connection.scalars(inventory_twins.duplicated(tenant_id)))
        assert sorted(marked) == sorted(counted(connection, tenant_id))


def columns(number: int, **changes: Any) -> dict[str, Any]:
    plain = {"machine_id_hash": None, "smbios_uuid_hash": None, "tpm_ek_hash": None}
    return devices.columns_of_device(a_device(number, **(plain | changes)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=some_steps)
def test_the_marked_are_those_that_counting_finds(twins_database: Database, steps: list[Any]) -> None:
    retired = DeviceState.RETIRED.value
    with twins_database.write() as connection:
        connection.execute(delete(rows).where(OURS))
        assert list(connection.scalars(MARKED)) == []
        for step, number, hardware, row in steps:
            device, values = device_id(number), columns(number, **hardware, **row)
            if step == "go":
                connection.execute(delete(rows).where(rows.c.id == device))
            elif connection.execute(update(rows).where(rows.c.id == device).values(values)).rowcount == 0:
                connection.execute(insert(rows).values(values))
            assert_true(connection)
        connection.execute(update(rows).where(OURS).values(state=DeviceState.ACTIVE.value))
        assert_true(connection)
        connection.execute(update(rows).where(OURS, rows.c.id > device_id(2)).values(state=retired))
        assert_true(connection)


def test_one_statement_that_brings_many_marks_who_was_alone(twins_database: Database) -> None:
    clone = {"machine_id_hash": VALUES[1]}
    with twins_database.write() as connection:
        connection.execute(insert(rows).values(columns(5, **clone)))
        connection.execute(insert(rows).values([columns(number, **clone) for number in (1, 2, 3, 6, 7, 8)]))
        assert_true(connection)
        connection.execute(delete(rows).where(OURS, rows.c.id != device_id(7)))
        assert_true(connection)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_two_who_come_at_the_same_moment_see_each_other(twins_database: Database) -> None:
    done = threading.Event()

    def come() -> None:
        with twins_database.write() as connection:
            connection.execute(insert(rows).values(columns(2, smbios_uuid_hash=VALUES[1])))
        done.set()

    other = threading.Thread(target=come)
    with twins_database.write() as connection:
        connection.execute(insert(rows).values(columns(1, smbios_uuid_hash=VALUES[1])))
        other.start()
        assert not done.wait(0.2)
    other.join(5)
    with twins_database.read() as connection:
        assert sorted(connection.scalars(MARKED)) == [device_id(1), device_id(2)]
        assert_true(connection)


def test_those_that_were_there_before_are_marked(migrated_database_url: str) -> None:
    with closing(Database(migrated_database_url)) as database, database.write() as connection:
        tenants.add(connection, a_tenant())
        tenants.add(connection, a_tenant(id=OTHERS, domain="third.example"))
        command.downgrade(migrate._config(connection), "0031_0023")
        for number in (1, 2, 3):
            connection.execute(insert(rows).values(columns(number, machine_id_hash=VALUES[1], tpm_ek_hash=VALUES[2])))
        connection.execute(insert(rows).values(columns(4, smbios_uuid_hash=VALUES[1])))
        connection.execute(insert(rows).values(columns(5, smbios_uuid_hash=VALUES[1], tenant_id=OTHERS)))
        command.upgrade(migrate._config(connection), "head")
        assert sorted(connection.scalars(MARKED)) == [device_id(1), device_id(2), device_id(3)]
        connection.execute(insert(rows).values(columns(6, smbios_uuid_hash=VALUES[1])))
        assert_true(connection)


def test_few_twins_lead_a_page_to_them_and_to_no_others(
    twins_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "LARGE", 2)
    with twins_database.write() as connection:
        for number in range(1, 9):
            alike = VALUES[1] if number in {2, 5, 6, 8} else digest_of_bytes(b"%d" % number)
            state = DeviceState.RETIRED if number == 8 else DeviceState.ACTIVE
            device = a_device(number, display_name=f"web-{20 - number}", machine_id_hash=alike, state=state)
            devices.add(connection, device)
            check_ins.add(connection, device.id)
    everybody = machines.filter_at(NOON)
    with twins_database.read() as connection:
        for is_duplicate, numbers in ((True, [6, 5, 2]), (False, [7, 4, 3, 1])):
            found, cursor = list[DeviceId](), None
            while True:
                asked = replace(everybody, is_duplicate=is_duplicate)
                page = machines.search(connection, TENANT_ID, Wanted(filter=asked, cursor=cursor, size=2), 1_000)
                assert page.count == len(numbers)
                found += [each.device.id for each in page.found]
                if (cursor := page.following) is None:
                    break
            assert found == [device_id(number) for number in numbers]
