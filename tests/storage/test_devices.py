from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.samples import NOON, TENANT_ID, a_device, a_tenant, counted_id, device_id

from shieldwall.contract.ids import KeyThumbprint
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.device_records import DeviceState, Registration
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import tenants


@pytest.fixture(autouse=True)
def tenant(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())


def test_a_device_comes_back_as_it_was_kept(database: Database) -> None:
    device = a_device(
        registration=Registration.FULL,
        trust_type="Workplace",
        state=DeviceState.DISABLED,
        display_name="\u202e<script>'; DROP TABLE devices;-- 😀",
        providers={"mdatp": "101.2", "nftables": ""},
        managed_elsewhere="Intune",
        tags=("a,b", "ü"),
        machine_id_hash=digest_of_bytes(b"machine"),
        smbios_uuid_hash=digest_of_bytes(b"smbios"),
        retired_at=NOON,
    )
    with database.write() as connection:
        devices.add(connection, device)
    with database.read() as connection:
        assert devices.get(connection, device.id) == device
        assert devices.find(connection, device.id) == device
        assert devices.find_by_key(connection, device.key_thumbprint) == device
        assert devices.find_by_object_id(connection, device.object_id) == device


def test_what_is_not_there_is_not_found(database: Database) -> None:
    with database.read() as connection:
        assert devices.find(connection, device_id(9)) is None
        assert devices.find_by_key(connection, KeyThumbprint("no")) is None
        assert devices.find_by_object_id(connection, counted_id("b", 9)) is None
        with pytest.raises(NotFoundError, match=device_id(9)):
            devices.get(connection, device_id(9))


def test_a_device_that_is_put_is_replaced_and_no_other(database: Database) -> None:
    with database.write() as connection:
        devices.add(connection, a_device(1))
        devices.add(connection, a_device(2))
        renamed = replace(a_device(1), display_name="new", tags=("x",))
        devices.put(connection, renamed)
    with database.read() as connection:
        assert devices.get(connection, device_id(1)) == renamed
        assert devices.get(connection, device_id(2)) == a_device(2)


def test_a_device_that_is_not_there_cannot_be_put(database: Database) -> None:
    with database.write() as connection, pytest.raises(NotFoundError):
        devices.put(connection, a_device())


def test_a_key_belongs_to_one_device_for_ever(database: Database) -> None:
    first = a_device(1, state=DeviceState.RETIRED, retired_at=NOON)
    with database.write() as connection:
        devices.add(connection, first)
    with pytest.raises(AlreadyExistsError), database.write() as connection:
        devices.add(connection, a_device(2, key_thumbprint=first.key_thumbprint))


def test_pages_hold_every_device_of_the_tenant_once_in_order(database: Database) -> None:
    other = counted_id("0", 2)
    with database.write() as connection:
        tenants.add(connection, a_tenant(id=other, domain="other.example"))
        devices.add(connection, a_device(99, tenant_id=other))
        for number in (5, 3, 1, 4, 2):
            devices.add(connection, a_device(number))
    seen: list[str] = []
    with database.read() as connection:
        while page := devices.list_devices(connection, TENANT_ID, Page(size=2, after=seen[-1] if seen else None)):
            assert len(page) <= 2
            seen += [device.id for device in page]
        assert devices.count(connection, TENANT_ID) == 5
    assert seen == [device_id(number) for number in range(1, 6)]


def test_many_devices_are_found_at_once(database: Database) -> None:
    asked = [device_id(number) for number in range(1, 1_300)]
    with database.write() as connection:
        for number in (1, 700, 1_299, 2_000):
            devices.add(connection, a_device(number))
        found = devices.find_many(connection, asked)
    assert [device.id for device in found] == [device_id(1), device_id(700), device_id(1_299)]


def test_devices_that_are_pending_disabled_or_retired_do_not_speak(database: Database) -> None:
    with database.write() as connection:
        numbers = {state: number for number, state in enumerate(DeviceState)}
        for state, number in numbers.items():
            devices.add(connection, a_device(number, state=state))
        silent = {DeviceState.PENDING, DeviceState.DISABLED, DeviceState.RETIRED}
        expected = {device_id(number) for state, number in numbers.items() if state not in silent}
        assert devices.speaking_ids(connection, TENANT_ID) == expected


def test_the_same_hardware_is_found_by_either_hash_and_never_by_none(database: Database) -> None:
    machine, smbios = digest_of_bytes(b"machine"), digest_of_bytes(b"smbios")
    with database.write() as connection:
        devices.add(connection, a_device(1, machine_id_hash=machine))
        devices.add(connection, a_device(2, smbios_uuid_hash=smbios))
        devices.add(connection, a_device(3))
        devices.add(connection, a_device(4, machine_id_hash=machine, state=DeviceState.RETIRED))

        def same(**hashes: object) -> list[str]:
            given = {"machine_id_hash": None, "smbios_uuid_hash": None} | hashes
            return [device.id for device in devices.list_same_hardware(connection, TENANT_ID, **given)]  # type: ignore[arg-type]  # built above

        assert same(machine_id_hash=machine) == [device_id(1)]
        assert same(smbios_uuid_hash=smbios) == [device_id(2)]
        assert same(machine_id_hash=machine, smbios_uuid_hash=smbios) == [device_id(1), device_id(2)]
        assert same() == []
