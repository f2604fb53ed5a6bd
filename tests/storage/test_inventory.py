"""Lists of devices: every page and every filter says what going through the devices one by one would say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import update
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, a_tenant, counted_id, device_id, group_id

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.status import RefusedPolicy, SettingState, SettingStatus, StatusReport
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.device_records import AttestationLevel, Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.migrate import upgrade
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.inventory import (
    inventory,
    inventory_conditions,
    inventory_facets,
    inventory_states,
    inventory_twins,
    inventory_windows,
)
from shieldwall.server.storage.inventory.inventory_queries import Cut, Filter, Health, Order, Sort
from shieldwall.server.storage.tables.inventory_schema import inventory as inventory_rows
from shieldwall.server.storage.tables.schema import check_ins as check_in_rows
from shieldwall.server.storage.tables.schema import devices as device_rows
from shieldwall.server.storage.tables.schema import metadata
from shieldwall.server.storage.tenants import tenants

BY_NAME = Order()
LONG_AGO = NOON - timedelta(days=30)
EVERYBODY = Filter(inactive_before=NOON - timedelta(days=7), states=frozenset(DeviceState))
OTHERS = TenantId("00000000-0000-4000-8000-00000000000c")


def join(database: Database, device: Device, *, seen: Any = NOON) -> DeviceId:
    with database.write() as connection:
        devices.add(connection, device)
        check_ins.add(connection, device.id)
        connection.execute(
            update(check_in_rows).where(check_in_rows.c.device_id == device.id).values(last_check_in=seen)
        )
    return device.id


def report(database: Database, device: DeviceId, *told: SettingStatus, refused: tuple[RefusedPolicy, ...] = ()) -> None:
    with database.write() as connection:
        digest = statuses.keep(connection, TENANT_ID, StatusReport(settings=told, refused=refused))
        check_ins.set_status(connection, device, digest, NOON)


def told(number: int, state: SettingState = SettingState.SUCCEEDED, **members: Any) -> SettingStatus:
    return SettingStatus(setting=f"setting_{number}", state=state, **members)  # type: ignore[arg-type]  # an id


def listed(database: Database, asked: Filter, order: Order = BY_NAME, size: int = 3) -> list[DeviceId]:
    """Every device of a list, read in small pages."""
    return list(_paged(database, asked, order, size))


def _paged(database: Database, asked: Filter, order: Order, size: int) -> Iterator[DeviceId]:
    after = None
    while True:
        with database.read() as connection:
            found = inventory.portion(connection, TENANT_ID, asked, Cut(order=order, after=after, size=size))
        yield from (each.device_id for each in found)
        if len(found) < size:
            return
        after = found[-1].position


@pytest.fixture
def fleet(tenant_database: Database) -> Database:
    """Twelve devices of all kinds, and one of another tenant that looks like the first."""
    database = tenant_database
    for number in range(1, 13):
        changes: dict[str, Any] = {
            "display_name": f"{'Web' if number % 3 else 'db'}-{number % 5}",
            "os_type": "Linux" if number % 2 else "macOS",
            "os_version": f"{number}.{number % 4}",
            "agent_version": f"0.{number}.0",
            "attestation_level": AttestationLevel.TPM if number == 5 else AttestationLevel.NONE,
            "enrollment_code": 3 if number == 6 else 1,
            "managed_elsewhere": "Intune" if number == 6 else None,
            "tags": ("Edge", "100%") if number == 7 else (),
            "providers": {"clamav": "notRunning"} if number == 8 else {"clamav": "1.4"},
            "state": DeviceState.RETIRED if number == 9 else DeviceState.ACTIVE,
            "machine_id_hash": digest_of_bytes(b"twin") if number in {10, 11} else digest_of_bytes(b"%d" % number),
            "registered_at": LONG_AGO,
        }
        seen = {1: LONG_AGO, 2: None, 3: NOON - timedelta(days=6)}.get(number, NOON - timedelta(minutes=number % 4))
        join(database, a_device(number, **changes), seen=seen)
    report(database, device_id(4), told(1, SettingState.ERROR), told(2, code="repaired"))
    report(database, device_id(12), told(1, value=1, read_back=2), told(2, value=1, read_back=1, effective=False))
    with database.write() as connection:
        tenants.add(connection, a_tenant(id=OTHERS, domain="third.example"))
        devices.add(connection, a_device(99, tenant_id=OTHERS, display_name="Web-1"))
        check_ins.add(connection, device_id(99))
    return database


def numbers(found: list[DeviceId]) -> list[int]:
    return [int(each[-4:], 16) for each in found]


def test_by_name_small_and_large_letters_are_alike(fleet: Database) -> None:
    names = {number: f"{'web' if number % 3 else 'db'}-{number % 5}" for number in range(1, 13)}
    expected = sorted(names, key=lambda number: (names[number], number))

    assert numbers(listed(fleet, EVERYBODY)) == expected
    assert numbers(listed(fleet, EVERYBODY, Order(descending=True))) == expected[::-1]


def test_by_system_numbers_count_as_numbers(fleet: Database) -> None:
    linux, macos = [1, 3, 5, 7, 9, 11], [2, 4, 6, 8, 10, 12]

    assert numbers(listed(fleet, EVERYBODY, Order(by=Sort.OS))) == linux + macos
    assert numbers(listed(fleet, EVERYBODY, Order(by=Sort.AGENT_VERSION))) == list(range(1, 13))


def test_by_last_check_in_those_that_never_came_stand_before_all_others(fleet: Database) -> None:
    assert numbers(listed(fleet, EVERYBODY, Order(by=Sort.LAST_CHECK_IN)))[:3] == [2, 1, 3]
    assert numbers(listed(fleet, EVERYBODY, Order(by=Sort.LAST_CHECK_IN, descending=True)))[-3:] == [3, 1, 2]


def test_by_health_trouble_comes_first_and_by_exposure_drift(fleet: Database) -> None:
    assert set(numbers(listed(fleet, EVERYBODY, Order(by=Sort.HEALTH)))[:2]) == {4, 8}
    assert set(numbers(listed(fleet, EVERYBODY, Order(by=Sort.HEALTH)))[2:4]) == {1, 2}
    assert numbers(listed(fleet, EVERYBODY, Order(by=Sort.EXPOSURE, descending=True)))[:2] == [12, 4]


def test_pages_hold_every_device_once_whatever_they_are_sorted_by(fleet: Database) -> None:
    for by in Sort:
        for descending in (False, True):
            order = Order(by=by, descending=descending)
            at_once = listed(fleet, EVERYBODY, order, 100)
            assert sorted(numbers(at_once)) == list(range(1, 13))
            for size in (1, 2, 5, 12):
                assert listed(fleet, EVERYBODY, order, size) == at_once, (order, size)


ASKED: tuple[tuple[dict[str, Any], list[int]], ...] = (
    ({"search": "WEB-1"}, [1, 11]),
    ({"search": "web 1.1"}, [1]),
    ({"search": "100%"}, [7]),
    ({"search": "_"}, []),
    ({"search": "\\"}, []),
    ({"search": "5.1 web"}, [5]),
    ({"search": device_id(5)}, [5]),
    ({"search": device_id(5).upper()}, [5]),
    ({"search": "dddd"}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ({"search": "ddd"}, []),
    ({"search": device_id(5)[-12:]}, []),
    ({"search": f"web {device_id(5)}"}, [5]),
    ({"search": f"db {device_id(5)}"}, []),
    ({"search": "dddddddd- db", "states": frozenset(DeviceState) - {DeviceState.RETIRED}}, [3, 6, 12]),
    ({"search": "db", "states": frozenset({DeviceState.RETIRED})}, [9]),
    ({"search": "web", "is_drifted": True}, [4]),
    ({"search": "web", "tags": ("edge",)}, [7]),
    ({"search": "web", "os_types": frozenset({"Linux"})}, [1, 5, 7, 11]),
    ({"search": "web", "os_types": frozenset({"linux"})}, []),
    ({"search": "web", "os_version": "5.1"}, [5]),
    ({"search": "2", "agent_version": "0.2.0", "states": frozenset({DeviceState.ACTIVE})}, [2]),
    ({"search": "db", "states": frozenset({DeviceState.PENDING})}, []),
    ({"search": "db", "tags": ("edge",)}, []),
    ({"search": "web", "managed_by": "Intune"}, []),
    ({"search": "db", "health": frozenset({Health.ACTIVE}), "os_types": frozenset({"Linux"})}, [3, 9]),
    ({"search": "db", "group": group_id(1)}, [3]),
    ({"search": "web", "only": (inventory_rows.c.device_id.in_([device_id(3), device_id(4)]),)}, [4]),
    ({"health": frozenset({Health.INACTIVE})}, [1, 2]),
    ({"health": frozenset({Health.IMPAIRED})}, [4, 8]),
    ({"health": frozenset({Health.ACTIVE})}, [3, 5, 6, 7, 9, 10, 11, 12]),
    ({"health": frozenset({Health.IMPAIRED, Health.INACTIVE})}, [1, 2, 4, 8]),
    ({"states": frozenset({DeviceState.RETIRED})}, [9]),
    ({"states": frozenset(DeviceState) - {DeviceState.RETIRED}}, [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12]),
    ({"enrollment_codes": frozenset({3})}, [6]),
    ({"managed_by": "Intune"}, [6]),
    ({"managed_by": ""}, [9]),
    ({"os_types": frozenset({"macOS"})}, [2, 4, 6, 8, 10, 12]),
    ({"os_version": "5.1"}, [5]),
    ({"agent_version": "0.3.0"}, [3]),
    ({"attestation": frozenset({"tpm"})}, [5]),
    ({"tags": ("edge",)}, [7]),
    ({"tags": ("edg",)}, []),
    ({"tags": ("edge", "100%")}, [7]),
    ({"is_drifted": True}, [4, 12]),
    ({"is_duplicate": True}, [10, 11]),
    ({"is_duplicate": False}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 12]),
    ({"seen_before": NOON - timedelta(days=5)}, [1, 3]),
    ({"seen_after": NOON - timedelta(days=7)}, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ({"group": group_id(1)}, [3, 4]),
    ({"policy_states": frozenset({SettingState.ERROR})}, [4]),
    ({"policy_states": frozenset({SettingState.SUCCEEDED})}, [12]),
    ({"policy_states": frozenset({SettingState.ERROR, SettingState.SUCCEEDED})}, [4, 12]),
    ({"policy_states": frozenset({SettingState.PENDING})}, [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]),
    ({"policy_states": frozenset({SettingState.CONFLICT})}, []),
)


def test_a_filter_keeps_whom_it_is_about(fleet: Database) -> None:
    with fleet.write() as connection:
        groups.add(connection, a_group(1))
        group_members.add_members(connection, group_id(1), [device_id(3), device_id(4)])
    for changes, expected in ASKED:
        asked = replace(EVERYBODY, **changes)
        for by in (Sort.NAME, Sort.LAST_CHECK_IN, Sort.HEALTH, Sort.POLICY_STATE):
            assert sorted(numbers(listed(fleet, asked, Order(by=by)))) == expected, (changes, by)
        with pytest.MonkeyPatch.context() as patch:  # as where many fit
            patch.setattr(inventory, "_FEW", -1)
            patch.setattr(inventory_conditions, "FEW", -1)
            latest_first = Order(by=Sort.LAST_CHECK_IN, descending=True)
            assert sorted(numbers(listed(fleet, asked, latest_first, 5))) == expected, changes
            with fleet.read() as connection:
                assert inventory.count(connection, TENANT_ID, asked) == len(expected), changes
            patch.setattr(inventory_conditions, "MANY", -1)
            patch.setattr(inventory_states, "FEW", -1)
            patch.setattr(inventory_states, "MANY", -1)
            for by in (Sort.NAME, Sort.LAST_CHECK_IN):
                assert sorted(numbers(listed(fleet, asked, Order(by=by), 5))) == expected, (changes, by)
        with fleet.read() as connection:
            assert inventory.count(connection, TENANT_ID, asked) == len(expected)
            assert inventory.count(connection, TENANT_ID, asked, most=3) == min(3, len(expected))


@pytest.mark.parametrize("most", [0, 2, 5_000])
def test_twins_are_those_whose_hardware_another_one_names(
    tenant_database: Database, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory_twins, "MOST_NAMED", most)
    disk, board, chip = (digest_of_bytes(each) for each in (b"disk", b"board", b"chip"))
    changed: dict[int, dict[str, Any]] = {
        1: {"machine_id_hash": disk},
        2: {"machine_id_hash": disk, "smbios_uuid_hash": board},
        3: {"smbios_uuid_hash": board, "tpm_ek_hash": chip},
        4: {"tpm_ek_hash": chip, "state": DeviceState.RETIRED},
        5: {"tpm_ek_hash": digest_of_bytes(b"other"), "machine_id_hash": digest_of_bytes(b"copied")},
        6: {"machine_id_hash": digest_of_bytes(b"copied"), "state": DeviceState.RETIRED},
        7: {},
    }
    for number, changes in changed.items():
        own = {
            "machine_id_hash": digest_of_bytes(b"m%d" % number),
            "smbios_uuid_hash": digest_of_bytes(b"s%d" % number),
        }
        join(tenant_database, a_device(number, **own | changes))

    for asked, expected in ((True, [1, 2, 3]), (False, [4, 5, 6, 7])):
        for by in (Sort.NAME, Sort.LAST_CHECK_IN):
            found = listed(tenant_database, replace(EVERYBODY, is_duplicate=asked), Order(by=by))
            assert sorted(numbers(found)) == expected, (asked, by)


def looked_through(database: Database, asked: Filter, order: Order, most: int) -> list[DeviceId]:
    """Every device of a list, read as of a large fleet: so many rows at a time."""
    found: list[DeviceId] = []
    after = None
    for _ in range(200):
        cut = Cut(order=order, after=after, size=2)
        with database.read() as connection:
            window = inventory_windows.look_through(connection, TENANT_ID, asked, cut, most)
        found += [each.device_id for each in window.found]
        after = window.further
        if after is None:
            return found
    raise AssertionError("the list does not end")


def test_a_large_fleet_looked_through_in_parts_comes_to_the_same(fleet: Database) -> None:
    with fleet.write() as connection:
        groups.add(connection, a_group(1))
        group_members.add_members(connection, group_id(1), [device_id(3), device_id(4)])
    for changes, expected in ASKED:
        asked = replace(EVERYBODY, **changes)
        for by, descending in ((Sort.NAME, False), (Sort.LAST_CHECK_IN, True), (Sort.HEALTH, False)):
            order = Order(by=by, descending=descending)
            assert looked_through(fleet, asked, order, 4) == listed(fleet, asked, order), (changes, by)
        with fleet.read() as connection:
            known = inventory_windows.known(connection, TENANT_ID, asked)
            assert known is None or sorted(numbers(list(known))) == expected, changes


def test_a_search_finds_beginnings_of_names_and_ids_first(fleet: Database) -> None:
    for search, expected in (
        ("WEB-1", [1, 11]),
        ("web 1.1", [1]),
        (device_id(5), [5]),
        ("DDDD db-2", [12]),
        ("eb-1", []),
        ("_", []),
    ):
        with fleet.read() as connection:
            found = inventory_windows.beginning(connection, TENANT_ID, replace(EVERYBODY, search=search))
        assert sorted(numbers(list(found))) == expected, search


def test_a_report_about_another_target_says_nothing_of_this_one(fleet: Database) -> None:
    with fleet.write() as connection:
        check_ins.set_target(connection, [device_id(4)], Digest("a" * 64), NOON)

    assert numbers(listed(fleet, replace(EVERYBODY, policy_states=frozenset({SettingState.ERROR})))) == []
    assert numbers(listed(fleet, EVERYBODY, Order(by=Sort.POLICY_STATE)))[-1] == 12
    for few in (0, 2_000):  # named one by one, and asked of each row
        with fleet.read() as connection, pytest.MonkeyPatch.context() as patch:
            patch.setattr(inventory_states, "FEW", few)
            pending = replace(EVERYBODY, policy_states=frozenset({SettingState.PENDING}))
            assert inventory.count(connection, TENANT_ID, pending) == 11
            succeeded = replace(EVERYBODY, policy_states=frozenset({SettingState.SUCCEEDED}))
            assert inventory.count(connection, TENANT_ID, succeeded) == 1


def test_facets_count_what_the_filter_lets_through(fleet: Database) -> None:
    with fleet.read() as connection:
        counts = inventory_facets.count_facets(connection, TENANT_ID, EVERYBODY, inventory_facets.FACETS)
        of_linux = replace(EVERYBODY, os_types=frozenset({"Linux"}))
        assert inventory_facets.count_facets(connection, TENANT_ID, of_linux, ["os"]) == {"os": {"Linux": 6}}
        of_web = replace(EVERYBODY, search="web", states=frozenset(DeviceState) - {DeviceState.RETIRED})
        assert inventory_facets.count_facets(connection, TENANT_ID, of_web, ["os"]) == {"os": {"Linux": 4, "macOS": 4}}

    assert counts["health"] == {"active": 8, "impaired": 2, "inactive": 2}
    assert counts["os"] == {"Linux": 6, "macOS": 6}
    assert counts["state"] == {"active": 11, "retired": 1}
    assert counts["tag"] == {"edge": 1, "100%": 1}
    assert counts["drifted"] == {"false": 10, "true": 2}
    assert counts["managedBy"] == {"MDE": 10, "Intune": 1, "": 1}
    assert counts["attestation"] == {"none": 11, "tpm": 1}


def test_what_is_listed_follows_the_newest_report_also_when_another_device_sent_it(tenant_database: Database) -> None:
    for number in (1, 2):
        join(tenant_database, a_device(number))
    report(tenant_database, device_id(1), told(1, SettingState.ERROR), told(2, code="repaired"))
    with tenant_database.write() as connection:
        digest = check_ins.get(connection, device_id(1)).status_digest
        assert digest is not None
        check_ins.set_status(connection, device_id(2), digest, NOON)

    with tenant_database.read() as connection:
        kept = inventory.standing(connection, [device_id(1), device_id(2)])
    assert kept[device_id(1)] == kept[device_id(2)]
    assert (kept[device_id(2)].impaired, kept[device_id(2)].repaired) == (True, 1)

    report(tenant_database, device_id(1), told(1))
    with tenant_database.read() as connection:
        kept = inventory.standing(connection, [device_id(1), device_id(2)])
    assert (kept[device_id(1)].impaired, kept[device_id(1)].repaired, kept[device_id(2)].impaired) == (False, 0, True)


def test_a_refused_policy_impairs_a_device(tenant_database: Database) -> None:
    device = join(tenant_database, a_device(1))
    refused = RefusedPolicy(policy_id=counted_id("c", 1), digest=Digest("0" * 64), code="x", cause="y")  # type: ignore[arg-type]  # an id
    report(tenant_database, device, refused=(refused,))

    assert numbers(listed(tenant_database, replace(EVERYBODY, health=frozenset({Health.IMPAIRED})))) == [1]


@pytest.mark.parametrize("migrated", [False, True])
def test_what_is_written_to_a_device_in_one_statement_is_listed_too(database_url: str, migrated: bool) -> None:
    database = Database(database_url)
    upgrade(database)
    if not migrated:
        with database.write() as connection:
            metadata.drop_all(connection)
            metadata.create_all(connection)
    with database.write() as connection:
        tenants.add(connection, a_tenant())
    join(database, a_device(1))
    for column, value, asked in (
        ("state", "quarantined", {"states": frozenset({DeviceState.QUARANTINED})}),
        ("attestation_level", "tofu", {"attestation": frozenset({"tofu"})}),
        ("enrollment_code", 4, {"enrollment_codes": frozenset({4}), "managed_by": ""}),
        ("managed_elsewhere", "Intune", {"managed_by": "Intune"}),
        ("managed_elsewhere", "", {"managed_by": ""}),
        ("manager", "several", {"managed_by": "several"}),
    ):
        with database.write() as connection:
            connection.execute(update(device_rows).values({column: value}))
        assert numbers(listed(database, replace(EVERYBODY, **asked))) == [1], column
    database.close()


HOSTILE = ("", "   ", "Ж" * 10_000, "\u202egnp.exe", "%_\\", "'; DROP TABLE devices; --", "😀" * 300, "\x1fa\x1f")


def test_hostile_names_are_listed_searched_and_paged_like_others(tenant_database: Database) -> None:
    for number, name in enumerate(HOSTILE, start=1):
        kept = name[:256]
        join(tenant_database, a_device(number, display_name=kept, os_version=kept, agent_version=kept))

    for by in Sort:
        assert len(set(listed(tenant_database, EVERYBODY, Order(by=by), 1))) == len(HOSTILE)
    for number, name in enumerate(HOSTILE, start=1):
        assert device_id(number) in listed(tenant_database, replace(EVERYBODY, search=name[:256]))
        assert listed(tenant_database, replace(EVERYBODY, tags=(name[:100],))) == []


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=some.data())
def test_paging_is_the_same_as_reading_at_once(fleet: Database, data: some.DataObject) -> None:
    order = Order(by=data.draw(some.sampled_from(list(Sort))), descending=data.draw(some.booleans()))
    asked = replace(
        EVERYBODY,
        health=data.draw(some.frozensets(some.sampled_from(list(Health)))),
        os_types=data.draw(some.frozensets(some.sampled_from(["Linux", "macOS", "Windows"]))),
        is_drifted=data.draw(some.sampled_from([None, True, False])),
        is_duplicate=data.draw(some.sampled_from([None, None, True, False])),
        search=data.draw(some.sampled_from(["", "web", "0.", "-1"])),
    )

    assert listed(fleet, asked, order, data.draw(some.integers(1, 7))) == listed(fleet, asked, order, 100)
