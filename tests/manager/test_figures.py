from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection
from tests.manager.test_statuses import reports, to_all, told
from tests.support.manager_world import CLOUD, DIAGNOSTIC, World
from tests.support.samples import TENANT_ID, a_device, device_id

from shieldwall.contract.ids import KeyThumbprint
from shieldwall.contract.status import SettingState
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.manager import figures
from shieldwall.server.manager.figures import Eyes, Figures, Fleet, FleetFigures
from shieldwall.server.manager.policy_reports import counts_of_policies
from shieldwall.server.manager.statuses import policy_counts
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.inventory.inventory_queries import Health
from shieldwall.server.storage.tables import device_schema, schema
from shieldwall.server.storage.tenants import tenant_sizes


def fleet_of(world: World, eyes: Eyes = figures.EVERYTHING) -> Fleet:
    return Fleet(database=world.database, catalog=world.catalog, tenant_id=TENANT_ID, eyes=eyes)


def checks_in(world: World, connection: Connection, number: int, ago: timedelta) -> None:
    found = check_ins.check_in(
        connection,
        device_id(number),
        key=KeyThumbprint(f"{number:043d}"),
        epoch=1,
        seq=1,
        digest=digest_of_bytes(b"request"),
        at=world.clock.now() - ago,
    )
    assert found is not None


@pytest.fixture
def fleet(world: World) -> World:
    """Four devices: one well, one in trouble that repaired and drifted, one silent for long, one retired."""
    with world.database.write() as connection:
        to_all(world, connection)
        for number in (1, 2):
            world.join(connection, number)
        world.join(connection, 3, os_type="Windows", enrollment_code=3, manager="Intune")
        world.join(connection, 4, state=DeviceState.RETIRED)
        reports(connection, device_id(1), told(CLOUD, SettingState.SUCCEEDED))
        reports(
            connection,
            device_id(2),
            told(CLOUD, SettingState.ERROR, value="true", read_back="false"),
            told(DIAGNOSTIC, SettingState.SUCCEEDED, code="repaired"),
        )
        checks_in(world, connection, 1, timedelta(minutes=1))
        checks_in(world, connection, 2, timedelta(minutes=30))
        checks_in(world, connection, 3, timedelta(days=8))
        alerts.raise_alert(
            connection,
            Alert(
                id=world.new_id(),
                tenant_id=TENANT_ID,
                device_id=device_id(2),
                kind="tampering",
                severity=Severity.HIGH,
                title="Tampering",
                details="{}",
                first_at=world.clock.now(),
                last_at=world.clock.now(),
            ),
        )
    return world


def test_a_fleet_is_counted_by_everything_that_the_overview_shows(fleet: World) -> None:
    found = fleet_of(fleet).count(fleet.clock.now())
    assert found.as_of == fleet.clock.now()
    assert found.devices == 3, "the retired one is left out"
    assert found.platforms == {a_device(1).os_type: 2, "Windows": 1}
    assert found.states == {DeviceState.ACTIVE: 3}
    assert found.managed_by == {"MDE": 2, "Intune": 1}
    assert found.enrollment_codes == {1: 2, 3: 1}
    assert found.health == {Health.ACTIVE: 1, Health.IMPAIRED: 1, Health.INACTIVE: 1}
    assert found.agent_versions == {a_device(1).agent_version: 3}
    assert found.drift == figures.Drift(repaired_devices=1, repaired_settings=1, drifted_devices=1, drifted_settings=1)
    assert found.alerts == {Severity.HIGH: 1}
    assert found.open_alerts == 1
    assert found.check_ins_per_minute == pytest.approx(1 / 5)


def test_protection_and_policies_are_counted_as_each_policy_alone_is(fleet: World) -> None:
    with fleet.database.read() as connection:
        found = figures.count(connection, fleet.catalog, TENANT_ID, fleet.clock.now())
        assert found.policies == counts_of_policies(connection, fleet.catalog, TENANT_ID)
        ((policy, counts),) = found.policies.items()
        assert counts == policy_counts(connection, fleet.catalog, TENANT_ID, policy)
    assert found.states_of(policy)[SettingState.ERROR] == 1
    assert found.protection[SettingState.SUCCEEDED] == 1
    assert found.protection[SettingState.ERROR] == 1
    assert found.without_policy == 1, "the one that another manager has"
    assert sum(found.protection.values()) == sum(found.states_of(policy).values())
    assert found.states_of(fleet.new_id()) == {}  # type: ignore[arg-type]  # of a policy that reaches nobody


def test_somebody_who_sees_one_device_gets_figures_of_one_device(fleet: World) -> None:
    mine = device_id(2)
    eyes = Eyes(
        key="mine",
        devices=(schema.inventory.c.device_id == mine,),
        reports=(schema.check_ins.c.device_id == mine,),
        alerts=(device_schema.alerts.c.device_id == device_id(1),),
    )
    found = fleet_of(fleet, eyes).count(fleet.clock.now())
    assert found.devices == 1
    assert found.health == {Health.IMPAIRED: 1}
    assert found.protection == {SettingState.ERROR: 1}
    assert found.check_ins_per_minute == 0
    assert found.alerts == {}


def test_a_small_fleet_is_counted_whenever_somebody_asks(fleet: World) -> None:
    memory = FleetFigures(small=4)
    assert counted(memory, fleet).devices == 3
    with fleet.database.write() as connection:
        fleet.join(connection, 5)
    assert FleetFigures(small=5).of(fleet_of(fleet), fleet.clock.now()) == counted(FleetFigures(small=9), fleet)
    assert counted(FleetFigures(small=5), fleet).devices == 4


def test_small_is_as_many_devices_as_somebody_says_and_no_more(fleet: World) -> None:
    with fleet.database.read() as connection:
        assert not tenant_sizes.is_large(connection, TENANT_ID, 4)
        assert tenant_sizes.is_large(connection, TENANT_ID, 3)


def test_a_large_fleet_shows_what_was_counted_last_until_that_is_too_old(fleet: World) -> None:
    steady = Steady()
    memory = FleetFigures(small=0, monotonic=steady)
    memory.count_now(fleet_of(fleet), fleet.clock.now())  # takes one second of this clock
    with fleet.database.write() as connection:
        fleet.join(connection, 5)
    fleet.clock.advance(minutes=1)
    assert counted(memory, fleet).devices == 3
    assert counted(memory, fleet).as_of < fleet.clock.now(), "and the page can say so"
    steady.now += figures.TIMES_ITS_COST
    assert counted(memory, fleet).devices in {3, 4}, "counted beside the page, which does not wait"
    wait_for_counting()
    assert counted(memory, fleet).devices == 4


def test_a_large_fleet_that_was_never_counted_has_no_figures_yet_rather_than_a_page_that_waits(
    fleet: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    count = figures.count

    def slow(*arguments: object) -> Figures:
        assert goes_on.wait(30)
        return count(*arguments)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(figures, "count", slow)
    memory = FleetFigures(small=0)
    assert memory.of(fleet_of(fleet), fleet.clock.now()) is None
    assert memory.of(fleet_of(fleet), fleet.clock.now()) is None
    assert len(counting()) == 1, "two who ask are one count"
    goes_on.set()
    wait_for_counting()
    assert counted(memory, fleet).devices == 3


def test_a_count_that_fails_leaves_the_figures_that_are_there(fleet: World, monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Steady()
    memory = FleetFigures(small=0, monotonic=steady)
    before = memory.count_now(fleet_of(fleet), fleet.clock.now())
    monkeypatch.setattr(figures, "count", broken)
    steady.now += 1_000
    assert counted(memory, fleet) is before
    wait_for_counting()
    assert counted(memory, fleet) is before
    monkeypatch.undo()
    steady.now += 1_000
    counted(memory, fleet)
    wait_for_counting()
    assert counted(memory, replace(fleet)) is not before


def test_figures_of_those_who_see_less_are_nobody_elses(fleet: World) -> None:
    memory = FleetFigures(small=0)
    narrowed = fleet_of(fleet, Eyes(key="one", devices=(schema.inventory.c.device_id == device_id(1),)))
    assert memory.count_now(narrowed, fleet.clock.now()).devices == 1
    assert memory.count_now(fleet_of(fleet), fleet.clock.now()).devices == 3
    found = memory.of(narrowed, fleet.clock.now())
    assert found is not None
    assert found.devices == 1


class Steady:
    """A clock that goes on by a second whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def broken(*_arguments: object) -> Figures:
    raise RuntimeError("the disk is gone")


def counted(memory: FleetFigures, world: World) -> Figures:
    found = memory.of(fleet_of(world), world.clock.now())
    assert found is not None
    return found


def counting() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "figures"]


def wait_for_counting() -> None:
    for thread in counting():
        thread.join(30)
