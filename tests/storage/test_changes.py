"""What changed in the directory: nothing is overtaken, however transactions lie across each other."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, text
from tests.support.databases import on_postgresql_alone
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, a_tenant, device_id, group_id
from tests.support.triggers import triggers

from shieldwall.contract.ids import DeviceId
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import device_moves, devices, enrollments
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.engine.migrate import upgrade
from shieldwall.server.storage.groups import changes, group_members, groups
from shieldwall.server.storage.groups.changes import Change, Feed, Kind, Place
from shieldwall.server.storage.tables.change_schema import directory_changes
from shieldwall.server.storage.tables.schema import devices as device_table
from shieldwall.server.storage.tables.schema import metadata
from shieldwall.server.storage.tenants import tenants

BOTH = (Kind.DEVICE, Kind.REGISTRATION)


def new_key() -> bytes:
    return b"k" * 32


@pytest.fixture
def followed(database: Database) -> Database:
    """A tenant with a device and a group, whose devices and groups somebody follows."""
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        devices.add(connection, a_device(1))
        check_ins.add(connection, device_id(1))
        groups.add(connection, a_group(1))
        for feed in Feed:
            changes.begin(connection, TENANT_ID, feed, NOON, new_key)
    return database


def read(database: Database, feed: Feed, after: int = 0) -> tuple[int, list[Change]]:
    """What changed since a version, and up to which one that is known."""
    with database.write() as connection:
        upto = changes.sequence(connection, TENANT_ID, feed, NOON).version
    with database.read() as connection:
        kinds = changes.KINDS[feed]
        return upto, list(changes.list_changes(connection, TENANT_ID, kinds, Place(after), upto=upto, size=1_000))


def rename(connection: Connection, number: int, name: str) -> None:
    held = devices.hold(connection, device_id(number))
    assert held is not None
    devices.put(connection, replace(held, display_name=name))


def test_the_triggers_of_a_migrated_database_are_those_of_a_new_one(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        metadata.create_all(connection)
        made = triggers(connection)
        metadata.drop_all(connection)
    upgrade(database)
    with database.read() as connection:
        assert triggers(connection) == made
    assert sum(name.startswith("follow_") for name in made) == 17
    database.close()


def test_nothing_is_written_while_nobody_follows(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        devices.add(connection, a_device(1))
        rename(connection, 1, "other")
    with database.read() as connection:
        assert (
            connection.execute(directory_changes.select().where(directory_changes.c.tenant_id == TENANT_ID)).all() == []
        )


def test_each_way_to_change_a_row_is_seen(followed: Database) -> None:
    ways: list[tuple[Feed, Any, list[tuple[Kind, str, str]]]] = [
        (
            Feed.DEVICES,
            lambda connection: rename(connection, 1, "x"),
            [(Kind.DEVICE, device_id(1), a_device(1).object_id)],
        ),
        (
            Feed.DEVICES,
            lambda connection: enrollments.set_code(connection, [device_id(1)], 3),
            [(Kind.DEVICE, device_id(1), a_device(1).object_id)],
        ),
        (Feed.DEVICES, lambda connection: rename(connection, 1, "x"), []),
        (
            Feed.GROUPS,
            lambda connection: group_members.add_members(connection, group_id(1), [device_id(1)]),
            [(Kind.MEMBER, group_id(1), a_device(1).object_id)],
        ),
        (Feed.GROUPS, lambda connection: group_members.add_members(connection, group_id(1), [device_id(1)]), []),
        (
            Feed.GROUPS,
            lambda connection: groups.put(connection, replace(a_group(1), description="new")),
            [(Kind.GROUP, group_id(1), "")],
        ),
        (
            Feed.GROUPS,
            lambda connection: device_moves.hand_over(connection, device_id(1), _successor(), epoch=1),
            [
                (Kind.MEMBER, group_id(1), a_device(1).object_id),
                (Kind.MEMBER, group_id(1), a_device(2).object_id),
            ],
        ),
        (
            Feed.GROUPS,  # by a cascade, without a word of the program
            lambda connection: (
                connection.execute(text("DELETE FROM check_ins WHERE device_id = :device"), {"device": device_id(2)})
                and connection.execute(delete(device_table).where(device_table.c.id == device_id(2)))
            ),
            [(Kind.MEMBER, group_id(1), a_device(2).object_id)],
        ),
        (Feed.GROUPS, lambda connection: groups.remove(connection, group_id(1)), [(Kind.GROUP, group_id(1), "")]),
    ]
    for feed, change, expected in ways:
        before, _ = read(followed, feed)
        with followed.write() as connection:
            change(connection)
        _, found = read(followed, feed, before)
        assert [(each.kind, each.id, each.other) for each in found] == sorted(expected, key=lambda each: each[1:])


def _successor() -> Any:
    return a_device(2)


@on_postgresql_alone
def test_a_transaction_that_commits_late_is_not_overtaken(followed: Database) -> None:
    with followed.write() as connection:
        devices.add(connection, a_device(2))
        check_ins.add(connection, device_id(2))
    start, _ = read(followed, Feed.DEVICES)
    with followed.write() as late:
        rename(late, 1, "late")
        with followed.write() as early:
            rename(early, 2, "early")
        middle, first = read(followed, Feed.DEVICES, start)
        assert [each.id for each in first] == [device_id(2)]
    _, second = read(followed, Feed.DEVICES, middle)
    assert [each.id for each in second] == [device_id(1)]


@on_postgresql_alone
def test_what_changes_again_while_it_waits_for_its_version_gets_a_later_one(followed: Database) -> None:
    with followed.write() as connection:
        rename(connection, 1, "first")  # waits for its version from here on
    with followed.write() as late:
        rename(late, 1, "second")
        start, found = read(followed, Feed.DEVICES)
        assert found == [], "its row is passed over: a version given now would be taken for the second name"
    _, found = read(followed, Feed.DEVICES, start)
    assert [each.id for each in found] == [device_id(1)]


@on_postgresql_alone
def test_whoever_begins_waits_for_those_who_saw_that_nobody_follows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
    monkeypatch.setattr(changes, "_PATIENCE_MILLISECONDS", 100)
    with database.write() as late:
        devices.add(late, a_device(1))
        with pytest.raises(StorageUnavailableError), database.write() as beginning:
            changes.begin(beginning, TENANT_ID, Feed.DEVICES, NOON, new_key)
    with database.write() as beginning:
        changes.begin(beginning, TENANT_ID, Feed.DEVICES, NOON, new_key)
    with database.read() as connection:
        assert devices.find(connection, device_id(1)) is not None, "what came before is in the listing"


def test_many_writers_and_a_reader_who_misses_nothing(followed: Database) -> None:  # noqa: C901 - two parts in threads
    count, rounds = 6, 25
    with followed.write() as connection:
        for number in range(2, count + 1):
            devices.add(connection, a_device(number))
            check_ins.add(connection, device_id(number))
    known: dict[DeviceId, str] = {}
    place, done = 0, threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - a test draws alike each time
        for turn in range(rounds):
            numbers = sorted(chance.sample(range(1, count + 1), 2))
            with suppress(StorageUnavailableError), followed.write() as connection:
                for number in numbers:
                    rename(connection, number, f"{seed}-{turn}")
                    threading.Event().wait(chance.random() / 200)

    def follow() -> None:
        nonlocal place
        place, found = read(followed, Feed.DEVICES, place)
        with followed.read() as connection:
            for change in found:
                device = devices.find(connection, device_id(int(change.id[-2:], 16)))
                assert device is not None
                known[device.id] = device.display_name

    def keep_following() -> None:
        while not done.is_set():
            follow()

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    reader = threading.Thread(target=keep_following)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    follow()

    with followed.read() as connection:
        truth = {
            each.id: each.display_name for each in devices.find_many(connection, map(device_id, range(1, count + 1)))
        }
    assert {name: truth[name] for name in known} == known
    assert set(known) == set(truth)


def test_changes_are_forgotten_in_time_and_all_of_them_where_nobody_reads(followed: Database) -> None:
    with followed.write() as connection:
        rename(connection, 1, "x")
    upto, _ = read(followed, Feed.DEVICES)
    later = NOON + timedelta(days=1)
    with followed.write() as connection:
        assert changes.forget(connection, TENANT_ID, Feed.DEVICES, NOON, 100) == 0
        changes.sequence(connection, TENANT_ID, Feed.DEVICES, later + timedelta(days=1))
        assert changes.forget(connection, TENANT_ID, Feed.DEVICES, later, 100) == 1
        state = changes.find_feed(connection, TENANT_ID, Feed.DEVICES)
        assert state is not None
        assert (state.forgotten, state.is_followed) == (upto, True)
        assert changes.forget(connection, TENANT_ID, Feed.DEVICES, later + timedelta(days=9), 100) == 0
        state = changes.find_feed(connection, TENANT_ID, Feed.DEVICES)
        assert state is not None
        assert (state.forgotten, state.is_followed) == (upto + 1, False)
        rename(connection, 1, "y")
        assert not changes.waits(connection, TENANT_ID, Feed.DEVICES)
