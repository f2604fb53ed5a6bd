"""Who leaves while protected leaves with alarm, unless it has the order, or a package that was made for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection
from tests.support.manager_world import World, caller
from tests.support.samples import TENANT_ID, device_id, package_id

from shieldwall.contract.ids import DeviceId, PackageId
from shieldwall.contract.messages import OffboardRequest
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.inventory.offboarding_packages import LATEST_GOODBYE
from shieldwall.server.manager.goodbye import say_goodbye
from shieldwall.server.manager.protection import replace_settings
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.onboarding import offboarding_packages
from shieldwall.server.storage.onboarding.offboarding_packages import OffboardingPackageRecord
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.schema import offboarding_packages as package_table

WEEK = timedelta(days=7)


@pytest.fixture
def protected(world: World) -> World:
    with world.database.write() as connection:
        replace_settings(connection, world.acting, ProtectionSettings(enabled=True))
    return world


def a_package(connection: Connection, world: World, *devices: DeviceId) -> PackageId:
    now = world.clock.now()
    record = OffboardingPackageRecord(
        id=package_id(9),
        tenant_id=TENANT_ID,
        display_name="field",
        platforms=("linux",),
        not_after=now + WEEK,
        created_at=now,
        created_by="ada",
        device_ids=devices,
    )
    offboarding_packages.add(connection, record)
    assert offboarding_packages.find(connection, record.id) == record
    return record.id


def alarms(connection: Connection, world: World, device: DeviceId, package: PackageId | None) -> list[str]:
    request = OffboardRequest(seq=1, epoch=1, package_id=package)
    gone = say_goodbye(connection, world.acting, caller(device), request)
    assert gone.state is DeviceState.RETIRED
    return [each.kind for each in alerts.list_alerts(connection, TENANT_ID, Page())]


@pytest.mark.parametrize(
    ("made_for", "later", "allowed"),
    [
        ((), timedelta(), True),
        ((device_id(1), device_id(2)), timedelta(), True),
        ((device_id(2),), timedelta(), False),
        ((), WEEK + LATEST_GOODBYE - timedelta(seconds=1), True),
        ((), WEEK + LATEST_GOODBYE, False),
    ],
)
def test_a_package_lets_go_whom_it_was_made_for_and_not_for_ever(
    protected: World, made_for: tuple[DeviceId, ...], later: timedelta, allowed: bool
) -> None:
    with protected.database.write() as connection:
        device = protected.join(connection, 1)
        package = a_package(connection, protected, *made_for)
        protected.clock.at += later

        assert alarms(connection, protected, device, package) == ([] if allowed else ["tamper.leftWhileProtected"])


@pytest.mark.parametrize("state", [DeviceState.ACTIVE, DeviceState.QUARANTINED])
def test_quarantine_is_no_way_out_without_alarm(protected: World, state: DeviceState) -> None:
    with protected.database.write() as connection:
        device = protected.join(connection, 1, state=state)

        assert alarms(connection, protected, device, None) == ["tamper.leftWhileProtected"]


def test_who_has_the_order_just_goes(protected: World) -> None:
    with protected.database.write() as connection:
        device = protected.join(connection, 1)
        order_to_leave(connection, protected.acting, device)

        assert alarms(connection, protected, device, None) == []


def test_a_package_from_before_is_good_for_all(protected: World) -> None:
    with protected.database.write() as connection:
        device = protected.join(connection, 1)
        package = a_package(connection, protected, device_id(2))
        connection.execute(package_table.update().values(device_ids="[]"))

        assert alarms(connection, protected, device, package) == []
