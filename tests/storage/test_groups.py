from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert
from tests.support.samples import TENANT_ID, a_device, a_group, a_tenant, counted_id, device_id, group_id

from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.server.storage.devices import device_moves, devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError, StillReferencedError
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.order_terms import Tally
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.schema import assignments, policies
from shieldwall.server.storage.tenants import tenants


@pytest.fixture(autouse=True)
def tenant_with_devices(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        for number in range(1, 5):
            devices.add(connection, a_device(number))


def test_a_group_comes_back_as_it_was_kept(database: Database) -> None:
    dynamic = a_group(2, membership_rule='(device.deviceOSType -eq "Linux")', description="all\nLinux")
    with database.write() as connection:
        groups.add(connection, a_group(1))
        groups.add(connection, dynamic)
    with database.read() as connection:
        assert groups.get(connection, group_id(1)) == a_group(1)
        assert groups.find(connection, group_id(2)) == dynamic
        assert groups.rules_in_force(connection, TENANT_ID) == ((dynamic.id, dynamic.membership_rule),)
        assert groups.list_groups(connection, TENANT_ID, Page(size=1)) == (a_group(1),)
        assert groups.list_groups(connection, TENANT_ID, Page(size=9, after=group_id(1))) == (dynamic,)


def test_a_group_that_is_not_there_is_not_found(database: Database) -> None:
    with database.write() as connection:
        assert groups.find(connection, group_id(9)) is None
        for failing in (groups.get, groups.remove):
            with pytest.raises(NotFoundError):
                failing(connection, group_id(9))
        with pytest.raises(NotFoundError):
            groups.put(connection, a_group(9))


def test_a_group_id_is_taken_once(database: Database) -> None:
    with database.write() as connection:
        groups.add(connection, a_group())
    with pytest.raises(AlreadyExistsError), database.write() as connection:
        groups.add(connection, a_group())


def test_a_group_that_is_put_keeps_its_members(database: Database) -> None:
    changed = replace(a_group(), display_name="new", description="d")
    with database.write() as connection:
        groups.add(connection, a_group())
        group_members.add_members(connection, group_id(1), [device_id(1)])
        groups.put(connection, changed)
        assert groups.get(connection, group_id(1)) == changed
        assert group_members.member_ids(connection, group_id(1)) == {device_id(1)}


def test_members_come_and_go(database: Database) -> None:
    with database.write() as connection:
        groups.add(connection, a_group(1))
        groups.add(connection, a_group(2))
        group_members.add_members(connection, group_id(1), [])
        group_members.add_members(connection, group_id(1), [device_id(3), device_id(1), device_id(1)])
        group_members.add_members(connection, group_id(1), [device_id(1), device_id(2)])
        group_members.add_members(connection, group_id(2), [device_id(1)])
    with database.write() as connection:
        assert group_members.list_members(connection, group_id(1), Page(size=2)) == (device_id(1), device_id(2))
        assert group_members.list_members(connection, group_id(1), Page(size=2, after=device_id(2))) == (device_id(3),)
        assert group_members.count_members(connection, group_id(1)) == 3
        assert group_members.memberships(connection, [device_id(1), device_id(2), device_id(4)]) == {
            device_id(1): {group_id(1), group_id(2)},
            device_id(2): {group_id(1)},
            device_id(4): frozenset(),
        }
        group_members.remove_members(connection, group_id(1), [device_id(3), device_id(4)])
        group_members.remove_from_all(connection, device_id(1))
        assert not group_members.is_member(connection, group_id(1), device_id(1))
        assert group_members.is_member(connection, group_id(1), device_id(2))
        assert group_members.member_ids(connection, group_id(1)) == {device_id(2)}
        assert group_members.member_ids(connection, group_id(2)) == frozenset()


@pytest.mark.parametrize("few", [0, 10])
def test_members_are_listed_by_id_however_many_there_are(
    database: Database, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(group_members, "FEW", few)
    with database.write() as connection:
        for number in (8, 6, 7):
            devices.add(connection, a_device(number))
        groups.add(connection, a_group())
        group_members.add_members(connection, group_id(1), map(device_id, (7, 2, 8, 6)))
        tally = Tally()
        assert group_members.list_members(connection, group_id(1), Page(size=3, tally=tally)) == tuple(
            map(device_id, (2, 6, 7))
        )
        assert tally.total == 4
        assert group_members.list_members(connection, group_id(1), Page(size=3, after=device_id(6), skip=1)) == (
            device_id(8),
        )
        assert group_members.list_members(connection, group_id(9), Page(size=3)) == ()


def test_whoever_goes_through_a_group_meets_members_as_they_came(database: Database) -> None:
    with database.write() as connection:
        for number in (8, 6, 7):
            devices.add(connection, a_device(number))
        groups.add(connection, a_group())
        group_members.add_members(connection, group_id(1), map(device_id, (7, 2, 8, 6)))
        found = group_members.find_members(connection, group_id(1), (), 3)
        assert [each.device_id for each in found] == list(map(device_id, (2, 8, 6)))
        behind = group_members.place_of(connection, device_id(6))
        assert behind == found[-1].place
        (last,) = group_members.find_members(connection, group_id(1), (), 3, behind=behind)
        assert last.device_id == device_id(7)
        assert group_members.place_behind(connection, group_id(1), found[0].place, 2) == found[2]
        assert group_members.place_behind(connection, group_id(1), found[0].place, 4) is None
        upto = (group_members.up_to(found[1]),)
        assert group_members.find_members(connection, group_id(1), upto, 9) == found[:2]


def test_a_walk_through_groups_leaves_nobody_out_also_where_its_place_is_gone(database: Database) -> None:
    members = {1: (1, 3), 3: (2, 4)}
    with database.write() as connection:
        for group in (3, 2, 1):
            groups.add(connection, a_group(group))
            group_members.add_members(connection, group_id(group), map(device_id, members.get(group, ())))
        every = [group_id(each) for each in (2, 1, 3)]
        first = group_members.members_after(connection, every, (GroupId(""), DeviceId("")), 3)
        assert [(each.group_id, each.device_id) for each in first] == [
            (group_id(1), device_id(1)),
            (group_id(1), device_id(3)),
            (group_id(3), device_id(2)),
        ]
        assert first[0].object_id == a_device(1).object_id
        (last,) = group_members.members_after(connection, every, first[-1][:2], 3)
        assert (last.group_id, last.device_id) == (group_id(3), device_id(4))
        device_moves.remove(connection, TENANT_ID, device_id(2))
        (again,) = group_members.members_after(connection, every, first[-1][:2], 3)
        assert again == last


def test_a_removed_group_takes_its_memberships_along(database: Database) -> None:
    with database.write() as connection:
        groups.add(connection, a_group())
        group_members.add_members(connection, group_id(1), [device_id(1)])
        groups.remove(connection, group_id(1))
        assert group_members.memberships(connection, [device_id(1)]) == {device_id(1): frozenset()}
        assert groups.find(connection, group_id(1)) is None


def test_a_group_that_a_policy_is_assigned_to_stays(database: Database) -> None:
    policy = counted_id("c", 1)
    names = {"name": "p", "description": "", "platforms": "linux", "technologies": "microsoftSense"}
    with database.write() as connection:
        groups.add(connection, a_group())
        connection.execute(
            insert(policies).values(
                id=policy,
                tenant_id=TENANT_ID,
                template_id="t_1",
                role_scope_tag_ids="[]",
                settings=b"[]",
                revision=1,
                digest="0" * 64,
                created_at=a_tenant().created_at,
                modified_at=a_tenant().created_at,
                **names,
            )
        )
        connection.execute(
            insert(assignments).values(
                policy_id=policy, tenant_id=TENANT_ID, target="g", kind="include", group_id=group_id(1)
            )
        )
    with pytest.raises(StillReferencedError), database.write() as connection:
        groups.remove(connection, group_id(1))
