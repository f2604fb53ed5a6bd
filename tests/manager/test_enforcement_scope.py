"""What an enforcement scope takes and releases, and that a preview says exactly that."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, insert, select
from tests.manager.test_targeting import ALL, policies_of
from tests.support.manager_world import World, a_draft, a_firewall_draft, caller
from tests.support.samples import TENANT_ID, a_device, a_group, device_id

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, DeviceFacts, Have
from shieldwall.contract.strict_json import decode_any, digest_of_bytes
from shieldwall.policy.enrollment import Coverage, EnforcementScope, InvalidScopeError, Reason, TagRule
from shieldwall.policy.membership import InvalidRuleError
from shieldwall.server.directory import devices as directory
from shieldwall.server.directory import enrollment
from shieldwall.server.manager.assignments import assign
from shieldwall.server.manager.enforcement_scope import ScopeEffect, get_scope, preview_scope, save_scope
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices, enrollments
from shieldwall.server.storage.devices.devices import columns_of_device
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.schema import check_ins as check_ins_table
from shieldwall.server.storage.tables.schema import devices as devices_table
from shieldwall.server.storage.tenants import tenants

DEFAULT: Final = EnforcementScope()
OFF: Final = EnforcementScope(is_allowed=False)
TAGGED: Final = EnforcementScope(linux=Coverage.TAGGED)
MANAGED_BY_SENSE: Final = 'device.managementType -eq "MicrosoftSense"'


def code_of(connection: Connection, device: DeviceId) -> int:
    return devices.get(connection, device).enrollment_code


def counts(effect: ScopeEffect) -> tuple[dict[tuple[str, Reason], int], dict[tuple[str, Reason], int]]:
    return (
        {(each.os_type, each.reason): each.count for each in effect.taken},
        {(each.os_type, each.reason): each.count for each in effect.released},
    )


def events(connection: Connection, activity: str) -> list[dict[str, Any]]:
    """What the audit trail says of activities of one kind."""
    found = audit.list_events(connection, TENANT_ID, Page(size=50))
    return [decode_any(each.details.encode()) for each in found if each.activity == activity]


def says(
    world: World, connection: Connection, device: DeviceId, seq: int = 1, *, protocol: int = PROTOCOL, **facts: Any
) -> None:
    """Let a device check in with facts."""
    request = CheckInRequest(
        seq=seq,
        epoch=1,
        instance_id=f"{int(device.rpartition('-')[2], 16):032x}",
        boot_id="boot",
        agent_version="1",
        protocol=protocol,
        have=Have(),
        facts=DeviceFacts(**({"display_name": "web-1", "os_type": "Linux", "os_version": "Debian 12"} | facts)),
    )
    world.check_in.record(connection, caller(device), request, digest_of_bytes(b"%d" % seq))


def test_a_tenant_that_chose_nothing_has_the_default_scope(world: World) -> None:
    with world.database.read() as connection:
        assert get_scope(connection, TENANT_ID) == DEFAULT


def test_switching_off_releases_every_device_and_on_takes_them_back(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])

        released = save_scope(connection, world.acting, OFF)

        assert counts(released) == ({}, {("Linux", Reason.TENANT_SWITCH_OFF): 1})
        assert (released.managed_before, released.managed_after) == (1, 0)
        assert code_of(connection, device) == 8
        assert policies_of(connection, device) == set()

        taken = save_scope(connection, world.acting, DEFAULT)

        assert counts(taken) == ({("Linux", Reason.TENANT_SWITCH_OFF): 1}, {})
        assert code_of(connection, device) == 1
        assert policies_of(connection, device) == {policy.id}


def test_a_device_that_waits_hears_at_once_of_being_released(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
        check_ins.clear_sync(connection, device)

        save_scope(connection, world.acting, OFF)

        assert device in check_ins.due(connection, [device])


def test_a_preview_changes_nothing_and_names_some_of_the_devices(world: World) -> None:
    with world.database.write() as connection:
        for number in range(1, 8):
            world.join(connection, number, tags=())

        effect = preview_scope(connection, TENANT_ID, TAGGED)

        (released,) = effect.released
        assert (released.os_type, released.reason, released.count) == ("Linux", Reason.TAG_MISSING, 7)
        assert released.samples == tuple((device_id(number), f"device-{number}") for number in range(1, 6))
        assert get_scope(connection, TENANT_ID) == DEFAULT
        assert code_of(connection, device_id(1)) == 1


def test_each_platform_is_counted_by_itself(world: World) -> None:
    with world.database.write() as connection:
        world.join(connection, 1, os_type="Windows Server")
        world.join(connection, 2, os_type="Windows")
        world.join(connection, 3, os_type="macOS")
        world.join(connection, 4, is_domain_controller=True)

        before = save_scope(connection, world.acting, DEFAULT)
        assert counts(before) == ({}, {("Linux", Reason.DOMAIN_CONTROLLERS_OFF): 1}), "as the scope always was"

        effect = preview_scope(
            connection,
            TENANT_ID,
            EnforcementScope(windows=Coverage.OFF, windows_server=Coverage.TAGGED, includes_domain_controllers=True),
        )

        assert counts(effect) == (
            {("Linux", Reason.DOMAIN_CONTROLLERS_OFF): 1},
            {("Windows", Reason.PLATFORM_OFF): 1},
        )


def test_giving_and_taking_the_tag_takes_and_releases_a_device(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1, tags=())
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
        save_scope(connection, world.acting, TAGGED)
        assert code_of(connection, device) == 2

        directory.change_tags(connection, world.acting, device, add=["MDE-Management"])
        assert (code_of(connection, device), policies_of(connection, device)) == (1, {policy.id})

        directory.change_tags(connection, world.acting, device, remove=["MDE-Management"])
        assert (code_of(connection, device), policies_of(connection, device)) == (2, set())


def test_a_dynamic_tag_takes_the_devices_that_its_rule_names(world: World) -> None:
    scope = msgspec.structs.replace(
        TAGGED, dynamic_tags=(TagRule(display_name="Web", rule='device.displayName -eq "web-1"'),)
    )
    with world.database.write() as connection:
        named = world.join(connection, 1, tags=(), display_name="web-1")
        other = world.join(connection, 2, tags=(), display_name="db-1")

        effect = save_scope(connection, world.acting, scope)

        assert counts(effect) == ({}, {("Linux", Reason.TAG_MISSING): 1})
        assert (code_of(connection, named), code_of(connection, other)) == (1, 2)
        assert devices.get(connection, named).tags == (), "the tag itself stays as administrators gave it"

        directory.rename(connection, world.acting, other, "web-1")
        assert code_of(connection, other) == 1


def test_groups_that_ask_who_manages_a_device_follow_the_scope(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        group = a_group(1, membership_rule=MANAGED_BY_SENSE)
        groups.add(connection, group)
        group_members.add_members(connection, group.id, [device])

        save_scope(connection, world.acting, OFF)
        assert group_members.member_ids(connection, group.id) == frozenset()

        save_scope(connection, world.acting, DEFAULT)
        assert group_members.member_ids(connection, group.id) == {device}


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"managed_elsewhere": "Intune", "manager": "mdm"}, 3),
        ({"managed_elsewhere": "An older agent names no kind"}, 3),
        ({"managed_elsewhere": "Microsoft", "manager": "microsoftChannel"}, 3),
        ({"managed_elsewhere": "Configuration Manager", "manager": "configurationManager"}, 4),
        ({"managed_elsewhere": "Both", "manager": "several"}, 43),
        ({"unsuitable": "unsupportedOs"}, 5),
        ({"unsuitable": "nonPersistentDesktop"}, 6),
        ({"is_domain_controller": True}, 2),
    ],
)
def test_what_a_device_says_of_itself_decides_anew(world: World, facts: dict[str, Any], code: int) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])

        says(world, connection, device, **facts)
        assert (code_of(connection, device), policies_of(connection, device)) == (code, set())
        (event,) = events(connection, "device.enrollmentChanged")
        assert (event["before"], event["after"], event["manager"]) == (1, code, facts.get("managed_elsewhere"))

        says(world, connection, device, seq=2)
        assert (code_of(connection, device), policies_of(connection, device)) == (1, {policy.id})


def test_without_its_authority_configuration_manager_loses_its_devices_to_this_channel(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        says(world, connection, device, managed_elsewhere="Configuration Manager", manager="configurationManager")
        assert code_of(connection, device) == 4

        effect = save_scope(connection, world.acting, EnforcementScope(configuration_manager_authority=False))

        assert counts(effect) == ({("Linux", Reason.CONFIGURATION_MANAGER): 1}, {})
        assert code_of(connection, device) == 1


def test_a_domain_controller_that_is_taken_never_gets_firewall_policy(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        antivirus = world.policies.create(connection, world.acting, a_draft())
        firewall = world.policies.create(connection, world.acting, a_firewall_draft())
        for policy in (antivirus, firewall):
            assign(connection, world.acting, policy.id, [ALL])
        assert policies_of(connection, device) == {antivirus.id, firewall.id}
        save_scope(connection, world.acting, EnforcementScope(includes_domain_controllers=True))

        says(world, connection, device, is_domain_controller=True)

        assert code_of(connection, device) == 1
        assert policies_of(connection, device) == {antivirus.id}


def test_a_scope_that_contradicts_itself_changes_nothing(world: World) -> None:
    nowhere = EnforcementScope(linux=Coverage.OFF, windows_server=Coverage.OFF, includes_domain_controllers=True)
    asking = EnforcementScope(dynamic_tags=(TagRule(display_name="Circle", rule=MANAGED_BY_SENSE),))
    with world.database.write() as connection:
        device = world.join(connection, 1)

        with pytest.raises(InvalidScopeError):
            save_scope(connection, world.acting, nowhere)
        with pytest.raises(InvalidRuleError):
            preview_scope(connection, TENANT_ID, asking)

        assert get_scope(connection, TENANT_ID) == DEFAULT
        assert code_of(connection, device) == 1


def test_a_device_that_changes_while_a_scope_is_saved_is_decided_by_the_new_scope(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1, tags=())

    def saves() -> None:
        with world.database.write() as connection:
            save_scope(connection, world.acting, TAGGED)

    with ThreadPoolExecutor() as pool:
        with world.database.write() as connection:
            directory.rename(connection, world.acting, device, "web-1")  # decided by the scope of before
            saving = pool.submit(saves)
            time.sleep(0.3)
            assert not saving.done(), "saving waits for whoever is deciding a device"
        saving.result(timeout=20)

    with world.database.read() as connection:
        assert (code_of(connection, device), devices.get(connection, device).display_name) == (2, "web-1")


def test_a_saved_scope_stands_in_the_audit_trail_with_what_it_did(world: World) -> None:
    with world.database.write() as connection:
        world.join(connection, 1)
        save_scope(connection, world.acting, OFF)
        save_scope(connection, world.acting, OFF)

        (details,) = events(connection, "enforcementScope.changed")

    assert (details["taken"], details["released"]) == (0, 1)
    assert (details["before"], details["after"]) == ({}, {"isAllowed": False})


def test_a_scope_is_one_tenants_own(world: World) -> None:
    with world.database.write() as connection:
        (other,) = [each for each in tenants.list_tenants(connection) if each.id != TENANT_ID]
        codes = select(devices_table.c.id, devices_table.c.enrollment_code).where(devices_table.c.tenant_id == other.id)
        before = sorted(connection.execute(codes).all())

        save_scope(connection, world.acting, OFF)

        assert get_scope(connection, other.id) == DEFAULT
        assert sorted(connection.execute(codes).all()) == before


def test_retired_devices_are_left_alone_and_disabled_ones_are_not_counted(world: World) -> None:
    with world.database.write() as connection:
        retired = world.join(connection, 1, state=DeviceState.RETIRED)
        disabled = world.join(connection, 2, state=DeviceState.DISABLED)

        effect = save_scope(connection, world.acting, OFF)

        assert counts(effect) == ({}, {})
        assert (code_of(connection, retired), code_of(connection, disabled)) == (1, 8)


coverages = st.sampled_from(Coverage)
scopes = st.builds(
    EnforcementScope,
    is_allowed=st.booleans(),
    linux=coverages,
    windows=coverages,
    configuration_manager_authority=st.booleans(),
    dynamic_tags=st.sampled_from(((), (TagRule(display_name="Odd", rule='device.displayName -endsWith "1"'),))),
)
fleets = st.lists(
    st.fixed_dictionaries(
        {
            "os_type": st.sampled_from(("Linux", "Windows")),
            "tags": st.sampled_from(((), ("MDE-Management",))),
            "display_name": st.sampled_from(("web-1", "web-2")),
            "manager": st.sampled_from((None, "mdm", "configurationManager", "several")),
            "unsuitable": st.sampled_from((None, None, "unsupportedOs")),
            "is_domain_controller": st.booleans(),
            "state": st.sampled_from((DeviceState.ACTIVE, DeviceState.PENDING, DeviceState.DISABLED)),
        }
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fleet=fleets, first=scopes, second=scopes)
def test_a_preview_says_what_saving_does_and_each_device_is_decided_alike_alone(
    world: World, fleet: list[dict[str, Any]], first: EnforcementScope, second: EnforcementScope
) -> None:
    with world.undone() as connection:
        joined = [world.join(connection, number, **changes) for number, changes in enumerate(fleet, start=1)]
        save_scope(connection, world.acting, first)

        said = preview_scope(connection, TENANT_ID, second)
        managed = {each for each in joined if devices.get(connection, each).is_managed}
        done = save_scope(connection, world.acting, second)

        now = {each for each in joined if devices.get(connection, each).is_managed}
        assert said == done
        assert (said.taken_count, said.released_count) == (len(now - managed), len(managed - now))
        assert (said.managed_before, said.managed_after) == (len(managed), len(now))
        for each in joined:
            device = devices.get(connection, each)
            assert enrollment.enrolled(connection, replace(device, enrollment_code=0)) == device


def test_a_scope_reaches_every_device_however_few_are_written_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrollments, "MOST_AT_ONCE", 4)  # or one, where rows are locked
    with world.database.write() as connection:
        last_come_first = [world.join(connection, number) for number in range(5, 0, -1)]
        other = world.join(connection, 6, os_type="macOS")

        save_scope(connection, world.acting, EnforcementScope(linux=Coverage.OFF))

        assert [code_of(connection, each) for each in last_come_first] == [2] * 5
        assert code_of(connection, other) == 1


@pytest.mark.parametrize("with_rule", [False, True])
def test_thousands_of_devices_are_taken_and_released_in_seconds(world: World, *, with_rule: bool) -> None:
    count = 5_000
    rules = (TagRule(display_name="Web", rule='device.displayName -startsWith "web"'),) if with_rule else ()
    with world.database.write() as connection:
        rows = [columns_of_device(a_device(number, tags=())) for number in range(1, count + 1)]
        connection.execute(insert(devices_table), rows)
        connection.execute(
            insert(check_ins_table),
            [{"device_id": row["id"], "tenant_id": TENANT_ID, "epoch": 1, "seq": 0} for row in rows],
        )
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
    started = time.perf_counter()
    with world.database.write() as connection:
        effect = save_scope(connection, world.acting, msgspec.structs.replace(TAGGED, dynamic_tags=rules))
        managed = connection.scalar(
            select(func.count()).where(devices_table.c.enrollment_code == 1, devices_table.c.tenant_id == TENANT_ID)
        )
    took = time.perf_counter() - started

    assert (effect.released_count, managed) == (count, 0)
    assert took < 10
