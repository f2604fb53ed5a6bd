"""Tamper protection reaches every device in its target; what a change does is said before, and kept for audit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection
from tests.support.manager_world import World
from tests.support.samples import NOON, TENANT_ID, counted_id, device_id, group_id

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.contract.messages import UNPROTECTED, Protection
from shieldwall.contract.target import ORDER_TO_LEAVE
from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.directory.groups import delete_group
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.manager import protection, sync
from shieldwall.server.manager.protection import (
    DeviceNotManagedError,
    InvalidProtectionError,
    ProtectionEffect,
    end_troubleshooting,
    exclude,
    get_settings,
    preview,
    replace_settings,
    start_troubleshooting,
    stop_troubleshooting,
)
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import Page

ON = ProtectionSettings(enabled=True)


def protection_at(connection: Connection, device: DeviceId) -> Protection:
    digest = check_ins.get(connection, device).target_digest
    assert digest is not None
    return targets.get(connection, TENANT_ID, digest).protection


def test_turning_it_on_reaches_every_device_and_wakes_those_that_wait(world: World) -> None:
    with world.database.write() as connection:
        laptop, server = world.join(connection, 1), world.join(connection, 2)
        assert protection_at(connection, laptop) == UNPROTECTED
        for device in (laptop, server):
            check_ins.clear_sync(connection, device)

        effect = replace_settings(connection, world.acting, ON)

        assert effect == ProtectionEffect(gained=2, lost=0, protected=2, devices=2)
        assert effect.change_class is ChangeClass.STRENGTHEN
        assert protection_at(connection, laptop) == protection_at(connection, server) == Protection(tamper=True)
        assert sync.due(connection, [laptop, server]) == {laptop, server}
        assert get_settings(connection, TENANT_ID) == ON


def test_a_device_that_comes_later_is_protected_from_its_first_target_on(world: World) -> None:
    with world.database.write() as connection:
        replace_settings(connection, world.acting, ON)

        assert protection_at(connection, world.join(connection, 1)) == Protection(tamper=True)


def test_what_a_change_would_do_is_counted_and_changes_nothing(world: World) -> None:
    with world.database.write() as connection:
        devices_ = [world.join(connection, number) for number in range(1, 6)]
        world.join(connection, 6, state=DeviceState.DISABLED)
        world.join(connection, 7, enrollment_code=4)
        off = world.group(connection, 1, devices_[0], devices_[1])
        on = world.group(connection, 2, devices_[1])
        replace_settings(connection, world.acting, ON)
        wanted = ProtectionSettings(enabled=True, groups={off: False, on: True}, excluded=(devices_[2],))

        effect = preview(connection, TENANT_ID, wanted)

        assert effect == ProtectionEffect(gained=0, lost=2, protected=3, devices=5)
        assert effect.change_class is ChangeClass.WEAKEN
        assert get_settings(connection, TENANT_ID) == ON
        assert replace_settings(connection, world.acting, wanted) == effect
        assert [protection_at(connection, each).tamper for each in devices_] == [False, True, False, True, True]


def test_every_change_is_in_the_audit_trail_and_none_is_no_change(world: World) -> None:
    with world.database.write() as connection:
        world.join(connection, 1)
        for _ in range(2):
            replace_settings(connection, world.acting, ON)
        replace_settings(connection, world.acting, ProtectionSettings())
        events = audit.list_events(connection, TENANT_ID, Page())

    assert [event.activity for event in events] == ["tamperProtection.changed"] * 2
    off, on = (event.details for event in events)  # the newest comes first
    assert '"gained":1' in on
    assert '"change":"strengthen"' in on
    assert '"lost":1' in off
    assert '"change":"weaken"' in off


def test_only_groups_and_devices_of_the_tenant_can_be_named(world: World) -> None:
    with world.database.write() as connection:
        for wanted in (
            ProtectionSettings(groups={group_id(9): True}),
            ProtectionSettings(excluded=(device_id(9),)),
        ):
            with pytest.raises(InvalidProtectionError):
                preview(connection, TENANT_ID, wanted)
            with pytest.raises(InvalidProtectionError):
                replace_settings(connection, world.acting, wanted)


def test_when_a_group_goes_its_devices_follow_the_tenant(world: World) -> None:
    with world.database.write() as connection:
        laptop = world.join(connection, 1)
        group = world.group(connection, 1, laptop)
        replace_settings(connection, world.acting, ProtectionSettings(groups={group: True}))
        assert protection_at(connection, laptop).tamper

        delete_group(connection, world.acting, group)

        assert protection_at(connection, laptop) == UNPROTECTED
        assert get_settings(connection, TENANT_ID) == ProtectionSettings()


def test_a_device_is_excluded_and_taken_back(world: World) -> None:
    with world.database.write() as connection:
        laptop, server = world.join(connection, 1), world.join(connection, 2)
        replace_settings(connection, world.acting, ON)

        assert exclude(connection, world.acting, laptop, excluded=True).lost == 1
        assert not protection_at(connection, laptop).tamper
        assert protection_at(connection, server).tamper
        assert exclude(connection, world.acting, laptop, excluded=False).gained == 1
        assert protection_at(connection, laptop).tamper
        with pytest.raises(NotFoundError):
            exclude(connection, world.acting, device_id(9), excluded=True)


def test_troubleshooting_is_in_the_target_until_it_is_over(world: World) -> None:
    with world.database.write() as connection:
        laptop = world.join(connection, 1)
        replace_settings(connection, world.acting, ON)

        device = start_troubleshooting(connection, world.acting, laptop)

        assert device.troubleshooting_until == NOON + timedelta(hours=4)
        assert protection_at(connection, laptop) == Protection(
            tamper=True, troubleshooting_until="2026-11-23T16:00:00Z"
        )
        assert end_troubleshooting(connection, world.acting) == frozenset()

        world.clock.advance(hours=4)
        assert end_troubleshooting(connection, world.acting) == {laptop}
        assert protection_at(connection, laptop) == Protection(tamper=True)
        assert devices.get(connection, laptop).troubleshooting_until is None
        assert end_troubleshooting(connection, world.acting) == frozenset()


def test_a_device_told_to_leave_leaves_its_groups_with_a_trace(world: World) -> None:
    with world.database.write() as connection:
        laptop = world.join(connection, 1)
        group = world.group(connection, 1, laptop)

        order_to_leave(connection, world.acting, laptop)

        assert group_members.member_ids(connection, group) == frozenset()
        assert check_ins.get(connection, laptop).target_digest == ORDER_TO_LEAVE


def test_troubleshooting_can_be_ended_early(world: World) -> None:
    with world.database.write() as connection:
        laptop = world.join(connection, 1)
        start_troubleshooting(connection, world.acting, laptop, window=timedelta(hours=24))

        assert stop_troubleshooting(connection, world.acting, laptop).troubleshooting_until is None
        assert protection_at(connection, laptop) == UNPROTECTED
        stop_troubleshooting(connection, world.acting, laptop)
        events = [event.activity for event in audit.list_events(connection, TENANT_ID, Page())]

    assert events == ["device.troubleshootingStopped", "device.troubleshootingStarted"]


@pytest.mark.parametrize("window", [timedelta(), timedelta(minutes=4), timedelta(hours=24, seconds=1)])
def test_troubleshooting_is_neither_too_short_nor_too_long(world: World, window: timedelta) -> None:
    with world.database.write() as connection, pytest.raises(InvalidProtectionError):
        start_troubleshooting(connection, world.acting, world.join(connection, 1), window=window)


def test_troubleshooting_is_for_devices_that_are_managed(world: World) -> None:
    with world.database.write() as connection:
        disabled = world.join(connection, 1, state=DeviceState.DISABLED)
        elsewhere = world.join(connection, 2, enrollment_code=4)
        for device in (disabled, elsewhere):
            with pytest.raises(DeviceNotManagedError):
                start_troubleshooting(connection, world.acting, device)


def test_a_device_told_to_leave_is_protected_no_more_and_gets_the_order_alone(world: World) -> None:
    with world.database.write() as connection:
        laptop = world.join(connection, 1)
        replace_settings(connection, world.acting, ON)
        start_troubleshooting(connection, world.acting, laptop)
        check_ins.clear_sync(connection, laptop)

        device = order_to_leave(connection, world.acting, laptop)

        assert device.state is DeviceState.LEAVING
        assert check_ins.get(connection, laptop).target_digest == ORDER_TO_LEAVE
        assert not protection.is_device_protected(connection, device)
        assert sync.due(connection, [laptop]) == {laptop}
        assert preview(connection, TENANT_ID, ON).devices == 0


def test_two_tenants_do_not_touch_each_other(world: World) -> None:
    other = TenantId(counted_id("9", 1))
    with world.database.write() as connection:
        laptop = world.join(connection, 1)
        with pytest.raises(NotFoundError):
            replace_settings(connection, world.acting.within(other), ON)
        assert protection_at(connection, laptop) == UNPROTECTED
