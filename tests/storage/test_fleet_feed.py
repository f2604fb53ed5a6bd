"""The fleet feed: whatever changes is told, nothing is overtaken, and a check-in without news is silent."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, select, text
from tests.support.admin import create_admin_world
from tests.support.databases import on_postgresql_alone
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, a_tenant, device_id, group_id
from tests.support.triggers import triggers

from shieldwall.contract.ids import Digest
from shieldwall.server.directory.attributes import fields_asked
from shieldwall.server.periodic.housekeeping import Housekeeping
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices, enrollments
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.migrate import upgrade
from shieldwall.server.storage.fleets import fleet_feed
from shieldwall.server.storage.fleets.fleet_feed import FEW, Place, What
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.tables.fleet_schema import fleet_changes
from shieldwall.server.storage.tables.fleet_triggers import WATCHED
from shieldwall.server.storage.tables.schema import devices as device_table
from shieldwall.server.storage.tables.schema import metadata
from shieldwall.server.storage.tenants import tenants

Change = Callable[[Connection], object]


@pytest.fixture
def fleet(database: Database) -> Database:
    """A tenant with a device, its check-ins and a group."""
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        devices.add(connection, a_device(1))
        check_ins.add(connection, device_id(1))
        groups.add(connection, a_group(1))
    return database


def here(database: Database) -> Place:
    with database.write() as connection:
        return fleet_feed.end(connection)


def told(database: Database, after: Place, most: int = 1_000) -> list[tuple[str, What]]:
    with database.read() as connection:
        portion = fleet_feed.read(connection, after, most)
    return [(each.device_id, each.what) for each in portion.changes if each.tenant_id == TENANT_ID]


def rename(connection: Connection, name: str) -> None:
    held = devices.hold(connection, device_id(1))
    assert held is not None
    devices.put(connection, replace(held, display_name=name))


def check_in(connection: Connection, seq: int) -> object:
    return check_ins.check_in(
        connection,
        device_id(1),
        key=a_device(1).key_thumbprint,
        epoch=1,
        seq=seq,
        digest=Digest("1" * 64),
        at=NOON + timedelta(seconds=seq),
    )


ONE = device_id(1)
WAYS: tuple[tuple[str, Change, list[tuple[str, What]]], ...] = (
    ("a name", lambda connection: rename(connection, "x"), [(ONE, What.DEVICE)]),
    ("the same name", lambda connection: rename(connection, "device-1"), []),
    ("in bulk", lambda connection: enrollments.set_code(connection, [ONE], 3), [(ONE, What.DEVICE)]),
    (
        "a target",
        lambda connection: check_ins.set_target(connection, [ONE], Digest("a" * 64), NOON),
        [(ONE, What.TARGET)],
    ),
    ("what it understands", lambda connection: check_ins.set_protocol(connection, ONE, 77), [(ONE, What.DEVICE)]),
    ("a check-in without news", lambda connection: check_in(connection, 1), []),
    ("a request to come", lambda connection: check_ins.request_sync(connection, [ONE], NOON), []),
    (
        "a group joined",
        lambda connection: group_members.add_members(connection, group_id(1), [ONE]),
        [(ONE, What.GROUPS)],
    ),
    (
        "a rule",
        lambda connection: groups.put(connection, replace(a_group(1), membership_rule="device.isRooted -eq true")),
        [("", What.AIMS)],
    ),
    ("a description", lambda connection: groups.put(connection, replace(a_group(1), description="new")), []),
    (
        "a setting of the tenant",
        lambda connection: connection.execute(
            text("UPDATE tenants SET conflict_rules = '{ }' WHERE id = :tenant"), {"tenant": TENANT_ID}
        ),
        [("", What.AIMS)],
    ),
)


@pytest.mark.parametrize(("change", "expected"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS])
def test_each_way_to_change_something_is_told(
    fleet: Database, change: Change, expected: list[tuple[str, What]]
) -> None:
    place = here(fleet)
    with fleet.write() as connection:
        assert change(connection) is not False
    assert told(fleet, place) == expected


def test_members_that_go_with_their_device_or_group_are_told(fleet: Database) -> None:
    with fleet.write() as connection:
        group_members.add_members(connection, group_id(1), [ONE])
    place = here(fleet)
    with fleet.write() as connection:
        groups.remove(connection, group_id(1))
    assert sorted(told(fleet, place)) == [("", What.AIMS), (ONE, What.GROUPS)]
    place = here(fleet)
    with fleet.write() as connection:
        connection.execute(text("DELETE FROM check_ins WHERE device_id = :device"), {"device": ONE})
        connection.execute(delete(device_table).where(device_table.c.id == ONE))
    assert (ONE, What.DEVICE) in told(fleet, place)


def test_whatever_rules_ask_of_a_device_is_watched() -> None:
    watched = next(each for each in WATCHED if each.name == "devices")
    assert fields_asked() - {"id"} <= set(watched.columns)


def test_the_triggers_of_a_migrated_database_are_those_of_a_new_one(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        metadata.create_all(connection)
        made = triggers(connection, "fleet_")
        metadata.drop_all(connection)
    upgrade(database)
    with database.read() as connection:
        assert triggers(connection, "fleet_") == made
    assert len(made) == sum((each.comes is not None) + bool(each.columns) + each.goes for each in WATCHED)
    database.close()


def test_it_is_read_in_portions_and_each_change_once(fleet: Database) -> None:
    place = here(fleet)
    for number in range(7):
        with fleet.write() as connection:
            rename(connection, f"name-{number}")
    numbers: list[int] = []
    while True:
        with fleet.read() as connection:
            portion = fleet_feed.read(connection, place, 3)
        numbers += [each.number for each in portion.changes]
        assert len(portion.changes) <= 3
        place = portion.place
        if portion.is_all:
            break
    assert len(numbers) == len(set(numbers)) == 7
    assert numbers == sorted(numbers)


@on_postgresql_alone
def test_what_commits_late_is_told_and_what_is_there_before_it_at_once(fleet: Database) -> None:
    with fleet.write() as connection:
        devices.add(connection, a_device(2))
        check_ins.add(connection, device_id(2))
    place = here(fleet)
    with fleet.write() as slow:
        check_ins.set_protocol(slow, ONE, 77)  # has the lower number, and is not committed
        with fleet.write() as connection:
            check_ins.set_protocol(connection, device_id(2), 78)
        with fleet.read() as connection:
            early = fleet_feed.read(connection, place, 10)
        with fleet.read() as connection:
            again = fleet_feed.read(connection, early.place, 10)
    with fleet.read() as connection:
        late = fleet_feed.read(connection, again.place, 10)
    assert [each.device_id for each in early.changes] == [device_id(2)]
    assert early.is_all
    assert again.changes == ()
    assert [each.device_id for each in late.changes] == [ONE]
    assert late.place.ahead == frozenset()


@on_postgresql_alone
def test_nothing_is_missed_by_whoever_reads_while_many_write(fleet: Database) -> None:
    with fleet.write() as connection:
        for number in range(2, 6):
            devices.add(connection, a_device(number))
            check_ins.add(connection, device_id(number))
    place = here(fleet)
    stopped = threading.Event()

    def write(number: int) -> None:
        drawn = random.Random(number)  # noqa: S311 - a test
        for count in range(25):
            with fleet.write() as connection:
                check_ins.set_protocol(connection, device_id(number), 10 + count)
                stopped.wait(drawn.random() / 100)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2, 6)]
    for writer in writers:
        writer.start()
    numbers: list[int] = []
    while True:
        is_over = not any(writer.is_alive() for writer in writers)
        with fleet.read() as connection:
            portion = fleet_feed.read(connection, place, 7)
        place = portion.place
        numbers += [each.number for each in portion.changes]
        if is_over and portion.is_all:
            break
    for writer in writers:
        writer.join()
    assert len(numbers) == len(set(numbers)) == 100


def test_a_reader_goes_on_only_by_the_mark_it_kept_last(fleet: Database) -> None:
    place = here(fleet)
    with fleet.write() as connection:
        fleet_feed.keep_place(connection, TENANT_ID, "index", place, mark="old", now=NOON)
        fleet_feed.keep_place(connection, TENANT_ID, "index", place, mark="new", now=NOON)
    with fleet.read() as connection:
        assert fleet_feed.place_of(connection, "index", "new") == place
        assert fleet_feed.place_of(connection, "index", "old") is None
        assert fleet_feed.place_of(connection, "reports", "new") is None


def test_only_what_all_have_read_is_forgotten_and_a_reader_that_went_holds_up_nobody(bare_database: Database) -> None:
    with bare_database.write() as connection:
        tenants.add(connection, a_tenant())
        connection.execute(delete(fleet_changes))
    with bare_database.write() as connection:
        row = {"tenant_id": TENANT_ID, "device_id": ONE, "what": 1}
        connection.execute(fleet_changes.insert(), [row] * (FEW + 5))
        numbers = list(connection.scalars(select(fleet_changes.c.number).order_by(fleet_changes.c.number)))

        def left() -> int:
            return len(connection.execute(select(fleet_changes.c.number)).all())

        fleet_feed.keep_place(connection, TENANT_ID, "index", Place(0, numbers[1]), mark="a", now=NOON)
        fleet_feed.keep_place(connection, TENANT_ID, "other", Place(0, numbers[-1]), mark="b", now=NOON)
        assert fleet_feed.trim(connection, NOON, 100) == 2
        assert left() == FEW + 3
        later = NOON + timedelta(hours=25)
        fleet_feed.keep_place(connection, TENANT_ID, "other", Place(0, numbers[-1]), mark="c", now=later)
        assert fleet_feed.trim(connection, later, 1) == 1
        assert fleet_feed.trim(connection, later, 100) == 2
        assert left() == FEW
        assert fleet_feed.place_of(connection, "index", "a") is None


def test_what_nobody_reads_is_forgotten_by_the_server_itself(bare_database: Database, tmp_path: Path) -> None:
    services = create_admin_world(bare_database, tmp_path / "data").services
    row = {"tenant_id": TENANT_ID, "device_id": ONE, "what": 1}
    with bare_database.write() as connection:
        connection.execute(fleet_changes.insert(), [row] * (FEW + 50))
    Housekeeping(services=services).trim_feed()
    with bare_database.read() as connection:
        assert len(connection.execute(select(fleet_changes.c.number)).all()) == FEW


@on_postgresql_alone
def test_what_came_with_a_dump_of_another_cluster_is_forgotten_and_so_is_its_reader(fleet: Database) -> None:
    far = Place(2**62, 1)
    with fleet.write() as connection:
        fleet_feed.trim(connection, NOON, 100)
        fleet_feed.keep_place(connection, TENANT_ID, "index", far, mark="a", now=NOON)
        row = {"tenant_id": TENANT_ID, "device_id": ONE, "what": 1, "xid": 2**62}
        connection.execute(fleet_changes.insert(), [row])
    with fleet.write() as connection:
        assert fleet_feed.place_of(connection, "index", "a") is None
        assert fleet_feed.trim(connection, NOON, 100) == 1
