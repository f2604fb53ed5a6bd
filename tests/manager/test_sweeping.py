"""Who is behind is found without looking at the others, however many those are."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, text
from tests.support.manager_world import World
from tests.support.samples import NOON, TENANT_ID, a_device, device_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.manager.sweeping import look, still_to_come, sweep
from shieldwall.server.periodic.sweeping import SweepMeasures
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.policies import aims, rounds
from shieldwall.server.storage.policies.aims import ChangeKind

HOLDER = "00000000-0000-4000-8000-0000000000aa"
FEW, MANY = 40, 900
BEHIND = 3


def joined(connection: Connection, numbers: range) -> None:
    for number in numbers:
        devices.add(connection, a_device(number))
        check_ins.add(connection, device_id(number))


def all_but_some_are_up_to_date(connection: Connection, count: int) -> None:
    """Raise the version, and let the devices take it up but for the last ones."""
    newest = aims.raise_version(connection, TENANT_ID, ChangeKind.TENANT, None, at=NOON)
    aims.set_reached(connection, [device_id(number) for number in range(1, count - BEHIND + 1)], newest)
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE check_ins"))
        connection.execute(text("SET LOCAL enable_seqscan = off"))  # a table of tests fits on a few pages


def steps(connection: Connection, work: Callable[[], object]) -> int:
    """Count what work does to the rows of a database: instructions of SQLite, rows that PostgreSQL fetches."""
    if connection.dialect.name == "postgresql":
        query = text(
            "SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'check_ins'"
        )
        before = connection.execute(query).scalar_one()
        work()
        return int(connection.execute(query).scalar_one() - before)
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(count, 1)
    try:
        work()
    finally:
        driver.set_progress_handler(None, 1)
    return counted


def test_a_look_costs_as_much_in_a_large_fleet_as_in_a_small_one(world: World) -> None:
    found = []
    for first, last in ((1, FEW), (FEW + 1, MANY)):
        with world.database.write() as connection:
            joined(connection, range(first, last + 1))
        with world.undone() as connection:
            all_but_some_are_up_to_date(connection, last)
            found.append(steps(connection, lambda connection=connection: look(connection, TENANT_ID)))  # type: ignore[misc]

    small, large = found

    assert small > 0
    assert large <= small + 10, f"{large} steps in a fleet of {MANY}, {small} in one of {FEW}"


def test_those_that_are_furthest_behind_come_first_and_nobody_else_does(world: World) -> None:
    with world.undone() as connection:
        joined(connection, range(1, 7))
        first = aims.raise_version(connection, TENANT_ID, ChangeKind.TENANT, None, at=NOON)
        aims.set_reached(connection, [device_id(number) for number in (1, 3, 5, 6)], first)
        second = aims.raise_version(connection, TENANT_ID, ChangeKind.TENANT, None, at=NOON)
        aims.set_reached(connection, [device_id(6)], second)
        told = []
        while (looked := look(connection, TENANT_ID, 2)) is not None:
            told.append((frozenset(looked.device_ids), still_to_come(connection, TENANT_ID)))
            assert sweep(connection, world.acting, looked, HOLDER) == frozenset(looked.device_ids)

        assert told[0] == (frozenset({device_id(2), device_id(4)}), None)
        assert [left for _, left in told[1:]] == [3, 1]
        assert frozenset().union(*(who for who, _ in told[1:])) == {device_id(number) for number in (1, 3, 5)}
        assert rounds.find(connection, TENANT_ID) is None
        assert still_to_come(connection, TENANT_ID) == 0


def test_a_round_ends_when_the_last_ones_came_by_themselves(world: World) -> None:
    with world.undone() as connection:
        joined(connection, range(1, 4))
        newest = aims.raise_version(connection, TENANT_ID, ChangeKind.TENANT, None, at=NOON)
        looked = look(connection, TENANT_ID, 1)
        assert looked is not None
        sweep(connection, world.acting, looked, HOLDER)
        aims.set_reached(connection, [device_id(number) for number in (1, 2, 3)], newest)

        looked = look(connection, TENANT_ID, 1)
        assert looked is not None
        assert looked.device_ids == ()
        assert sweep(connection, world.acting, looked, HOLDER) == frozenset()

        assert not aims.is_open(connection, TENANT_ID)
        assert look(connection, TENANT_ID) is None


def test_a_change_during_a_round_is_taken_up_by_those_that_were_passed(world: World) -> None:
    with world.undone() as connection:
        joined(connection, range(1, 4))
        aims.raise_version(connection, TENANT_ID, ChangeKind.TENANT, None, at=NOON)
        looked = look(connection, TENANT_ID, 2)
        assert looked is not None
        passed = sweep(connection, world.acting, looked, HOLDER)
        assert passed is not None
        aims.raise_version(connection, TENANT_ID, ChangeKind.TENANT, None, at=NOON)

        reached = []
        while (looked := look(connection, TENANT_ID, 2)) is not None:
            reached.append(sweep(connection, world.acting, looked, HOLDER))

        assert sum(len(each or ()) for each in reached) == 3
        assert passed <= frozenset().union(*(each or frozenset() for each in reached))


def test_nobody_is_said_to_be_behind_in_a_tenant_that_others_brought_to_its_end() -> None:
    registry = CollectorRegistry()
    measures = SweepMeasures(registry)
    other = TenantId("00000000-0000-4000-8000-0000000000bb")

    measures.open([TENANT_ID, other])
    measures.behind(TENANT_ID, 7)
    measures.behind(other, 2)
    assert registry.get_sample_value("shieldwall_devices_behind") == 9

    measures.open([other])
    assert registry.get_sample_value("shieldwall_devices_behind") == 2
