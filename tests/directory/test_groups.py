from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection
from tests.support.office import Office
from tests.support.samples import TENANT_ID, a_device, a_group, a_tenant, counted_id, device_id, group_id

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.policy.membership import InvalidRuleError, parse_rule
from shieldwall.server.directory import assigned_members, groups, membership
from shieldwall.server.directory.assigned_members import DynamicGroupError, RetiredDeviceError
from shieldwall.server.directory.attributes import attributes_of
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.invalid_group import InvalidGroupError
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices as device_store
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.groups import groups as group_store
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import tenants

LINUX = '(device.deviceOSType -eq "Linux")'
WEB = '(device.deviceTag -eq "web")'
OTHER = TenantId(counted_id("1", 1))


def a_draft(rule: str | None = None, name: str = "Servers") -> GroupDraft:
    return GroupDraft(display_name=name, mail_nickname="servers", membership_rule=rule)


def test_a_dynamic_group_is_filled_when_it_is_made(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    device_store.add(connection, a_device(2, os_type="Windows"))
    device_store.add(connection, a_device(3, state=DeviceState.RETIRED))

    group = groups.create_group(connection, office.acting, a_draft(LINUX))

    assert group_members.member_ids(connection, group.id) == {device_id(1)}
    assert office.told == [{device_id(1)}]
    assert [event.activity for event in office.trail(connection)] == ["group.created"]


def test_a_changed_rule_tells_only_of_devices_that_joined_or_left(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1, tags=("web",)))
    device_store.add(connection, a_device(2, tags=()))
    device_store.add(connection, a_device(3, os_type="Windows", tags=("web", "db")))
    group = groups.create_group(connection, office.acting, a_draft(LINUX))

    groups.update_group(connection, office.acting, group.id, a_draft(WEB))

    assert group_members.member_ids(connection, group.id) == {device_id(1), device_id(3)}
    assert office.told[1:] == [{device_id(2), device_id(3)}]


def test_a_rule_that_goes_leaves_its_members_and_they_can_be_chosen_then(
    connection: Connection, office: Office
) -> None:
    device_store.add(connection, a_device(1))
    group = groups.create_group(connection, office.acting, a_draft(LINUX))

    groups.update_group(connection, office.acting, group.id, a_draft(None))
    assert group_members.member_ids(connection, group.id) == {device_id(1)}
    assigned_members.remove_member(connection, office.acting, group.id, device_id(1))

    assert group_members.member_ids(connection, group.id) == frozenset()


def test_an_update_that_changes_nothing_leaves_no_event(connection: Connection, office: Office) -> None:
    group = groups.create_group(connection, office.acting, a_draft())
    assert groups.update_group(connection, office.acting, group.id, a_draft()) == group
    assert len(office.trail(connection)) == 1


def test_members_of_an_assigned_group_come_and_go(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    device_store.add(connection, a_device(2))
    group = groups.create_group(connection, office.acting, a_draft())

    assigned_members.add_member(connection, office.acting, group.id, device_id(2))
    assigned_members.add_member(connection, office.acting, group.id, device_id(1))
    assigned_members.add_member(connection, office.acting, group.id, device_id(1))
    assert groups.members(connection, TENANT_ID, group.id, Page()) == (a_device(1), a_device(2))
    assert groups.groups_of(connection, TENANT_ID, device_id(1)) == (group,)
    assigned_members.remove_member(connection, office.acting, group.id, device_id(1))

    assert groups.members(connection, TENANT_ID, group.id, Page()) == (a_device(2),)
    assert office.told == [{device_id(2)}, {device_id(1)}, {device_id(1)}]
    assert [event.activity for event in office.trail(connection)] == [
        "group.created",
        "group.memberAdded",
        "group.memberAdded",
        "group.memberRemoved",
    ]
    with pytest.raises(NotFoundError):
        assigned_members.remove_member(connection, office.acting, group.id, device_id(1))


def test_the_members_of_a_dynamic_group_cannot_be_chosen(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    group = groups.create_group(connection, office.acting, a_draft(LINUX))
    for refused in (assigned_members.add_member, assigned_members.remove_member):
        with pytest.raises(DynamicGroupError):
            refused(connection, office.acting, group.id, device_id(1))


def test_a_retired_device_joins_no_group(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1, state=DeviceState.RETIRED))
    group = groups.create_group(connection, office.acting, a_draft())
    with pytest.raises(RetiredDeviceError):
        assigned_members.add_member(connection, office.acting, group.id, device_id(1))


def test_a_deleted_group_tells_of_its_former_members(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    group = groups.create_group(connection, office.acting, a_draft(LINUX))
    office.told.clear()
    groups.delete_group(connection, office.acting, group.id)
    assert office.told == [{device_id(1)}]
    with pytest.raises(NotFoundError):
        groups.get_group(connection, TENANT_ID, group.id)


def test_what_belongs_to_another_tenant_is_not_there(connection: Connection, office: Office) -> None:
    tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
    group_store.add(connection, a_group(1, tenant_id=OTHER))
    group_store.add(connection, a_group(2))
    device_store.add(connection, a_device(1, tenant_id=OTHER))
    attempts: list[Callable[[], object]] = [
        lambda: groups.get_group(connection, TENANT_ID, group_id(1)),
        lambda: groups.members(connection, TENANT_ID, group_id(1), Page()),
        lambda: groups.update_group(connection, office.acting, group_id(1), a_draft()),
        lambda: groups.delete_group(connection, office.acting, group_id(1)),
        lambda: assigned_members.add_member(connection, office.acting, group_id(2), device_id(1)),
        lambda: groups.groups_of(connection, TENANT_ID, device_id(1)),
    ]
    for attempt in attempts:
        with pytest.raises(NotFoundError):
            attempt()
    assert groups.list_groups(connection, TENANT_ID, Page()) == (a_group(2),)


def test_a_rule_of_one_tenant_never_names_devices_of_another(connection: Connection, office: Office) -> None:
    tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
    device_store.add(connection, a_device(1, tenant_id=OTHER))
    group = groups.create_group(connection, office.acting, a_draft(LINUX))
    assert group_members.member_ids(connection, group.id) == frozenset()
    assert membership.reevaluate_device(connection, office.acting, a_device(1, tenant_id=OTHER)) == frozenset()


def test_a_device_joins_and_leaves_by_what_it_says_about_itself(connection: Connection, office: Office) -> None:
    linux = groups.create_group(connection, office.acting, a_draft(LINUX))
    web = groups.create_group(connection, office.acting, a_draft(WEB))
    device_store.add(connection, a_device(1))

    assert membership.reevaluate_device(connection, office.acting, a_device(1)) == {linux.id}
    assert membership.reevaluate_device(connection, office.acting, a_device(1)) == frozenset()
    moved = a_device(1, os_type="Windows", tags=("web",))
    assert membership.reevaluate_device(connection, office.acting, moved) == {linux.id, web.id}
    assert group_members.memberships(connection, [device_id(1)]) == {device_id(1): {web.id}}


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ('(device.managementType -eq "MicrosoftSense")', True),
        ('(device.deviceTag -eq "web") -and (device.deviceTag -eq "db")', True),
        ('(device.deviceTag -ne "web")', False),
        ('(device.deviceTag -ne "mail")', True),
        ('(device.deviceTag -startsWith "d")', True),
        ("(device.deviceTag -eq null)", False),
        ("(device.deviceTrustType -eq null)", True),
        ("(device.deviceManufacturer -eq null)", True),
        (f'(device.deviceId -eq "{device_id(1)}")', True),
    ],
)
def test_a_rule_sees_what_is_known_of_a_device(rule: str, matches: bool) -> None:
    device = a_device(1, tags=("web", "db"), manufacturer="")

    assert parse_rule(rule).matches(attributes_of(device)) is matches


def test_a_device_that_another_manager_holds_is_not_ours_and_one_without_tags_has_none() -> None:
    attributes = attributes_of(a_device(1, managed_elsewhere="Intune", enrollment_code=3, tags=()))

    assert parse_rule("(device.managementType -eq null)").matches(attributes)
    assert parse_rule("(device.deviceTag -eq null)").matches(attributes)
    assert not parse_rule(WEB).matches(attributes)


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"display_name": "  "}, "displayName"),
        ({"display_name": "x" * 257}, "displayName"),
        ({"display_name": "a\0b"}, "displayName"),
        ({"display_name": "\x1b[31mred"}, "displayName"),
        ({"description": "a\0b"}, "description"),
        ({"description": "\ud800"}, "description"),
        ({"description": "x" * 1025}, "description"),
        ({"mail_nickname": ""}, "mailNickname"),
        ({"mail_nickname": "x" * 65}, "mailNickname"),
        ({"mail_nickname": "a b"}, "mailNickname"),
        ({"mail_nickname": "a\n"}, "mailNickname"),
    ],
)
def test_a_group_that_cannot_be_is_refused_by_the_part_that_is_wrong(changes: dict[str, str], member: str) -> None:
    with pytest.raises(InvalidGroupError) as refused:
        GroupDraft(**({"display_name": "n", "mail_nickname": "n"} | changes))  # type: ignore[arg-type]  # texts alone
    assert refused.value.member == member


def test_a_rule_that_cannot_be_read_makes_no_group() -> None:
    with pytest.raises(InvalidRuleError):
        a_draft("device.deviceOSType equals Linux")


def test_groups_hold_the_same_devices_whichever_way_they_are_evaluated(connection: Connection, office: Office) -> None:
    rules = [LINUX, WEB, f"-not {WEB}", f"{LINUX} -and {WEB}", '(device.displayName -startsWith "device-1")']
    made = [groups.create_group(connection, office.acting, a_draft(rule)) for rule in rules]
    for number in range(1, 13):
        tags = ("web",) if number % 3 == 0 else ()
        device = a_device(number, os_type="Linux" if number % 2 else "Windows", tags=tags)
        device_store.add(connection, device)
        membership.reevaluate_device(connection, office.acting, device)
    one_by_one: list[frozenset[DeviceId]] = [group_members.member_ids(connection, group.id) for group in made]
    assert all(one_by_one)
    moved = [membership.reevaluate_group(connection, office.acting, group) for group in made]
    assert moved == [frozenset()] * len(made)
