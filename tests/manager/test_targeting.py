from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from tests.support.manager_world import ANTIVIRUS, World, a_draft, a_firewall_draft
from tests.support.samples import NOON, TENANT_ID, device_id, group_id

from shieldwall.contract.ids import DeviceId, Digest, GroupId, PolicyId
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.target import Target
from shieldwall.server.directory import assigned_members
from shieldwall.server.directory import devices as directory
from shieldwall.server.directory import groups as directory_groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.manager import sync
from shieldwall.server.manager.assignments import (
    Assigned,
    InvalidAssignmentError,
    UnknownGroupError,
    assign,
    assignments_of,
)
from shieldwall.server.manager.filters import FilterDraft, create_filter, update_filter
from shieldwall.server.manager.targeting import items_for, retarget
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.policies.assignments import AssignedItem
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind, Page
from shieldwall.server.storage.tables.schema import check_ins as check_ins_table

ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)


def include(group: GroupId) -> Assigned:
    return Assigned(kind=AssignmentKind.INCLUDE, group_id=group)


def exclude(group: GroupId) -> Assigned:
    return Assigned(kind=AssignmentKind.EXCLUDE, group_id=group)


def policies_of(connection: Connection, device: DeviceId) -> set[PolicyId]:
    target = check_ins.get(connection, device).target_digest
    assert target is not None
    return {item.policy_id for item in targets.get(connection, TENANT_ID, target).items}


def test_a_policy_reaches_the_members_of_included_groups_alone(world: World) -> None:
    with world.database.write() as connection:
        inside, outside = world.join(connection, 1), world.join(connection, 2)
        group = world.group(connection, 1, inside)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [include(group)])

        assert policies_of(connection, inside) == {policy.id}
        assert policies_of(connection, outside) == set()


def test_an_exclusion_wins_over_every_inclusion(world: World) -> None:
    with world.database.write() as connection:
        device, other = world.join(connection, 1), world.join(connection, 2)
        group, excluded = world.group(connection, 1, device, other), world.group(connection, 2, device)
        policy = world.policies.create(connection, world.acting, a_draft())
        for wanted in ([include(group), exclude(excluded)], [ALL, exclude(excluded)]):
            assign(connection, world.acting, policy.id, wanted)

            assert policies_of(connection, device) == set()
            assert policies_of(connection, other) == {policy.id}


@pytest.mark.parametrize("first", [ALL, include(group_id(1))])
def test_who_is_assigned_a_policy_no_more_loses_it(world: World, first: Assigned) -> None:
    with world.database.write() as connection:
        leaving, coming = world.join(connection, 1), world.join(connection, 2)
        world.group(connection, 1, leaving)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [first])
        assert policies_of(connection, leaving) == {policy.id}

        assign(connection, world.acting, policy.id, [include(world.group(connection, 2, coming))])
        assert policies_of(connection, leaving) == set()
        assert policies_of(connection, coming) == {policy.id}
        assign(connection, world.acting, policy.id, [])
        assert policies_of(connection, coming) == set()


def test_an_edit_reaches_every_device_and_writes_no_other_row(world: World) -> None:
    with world.database.write() as connection:
        inside, outside = world.join(connection, 1), world.join(connection, 2)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [include(world.group(connection, 1, inside))])
        before = check_ins.get(connection, outside)
        edited = world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"))
        target = check_ins.get(connection, inside).target_digest

        assert target is not None
        assert [item.digest for item in targets.get(connection, TENANT_ID, target).items] == [edited.digest]
        assert check_ins.get(connection, outside) == before


def test_retargeting_what_is_right_already_changes_nothing(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)

        assert retarget(connection, [device], NOON) == frozenset()


def test_devices_recomputed_together_get_the_target_of_their_own_groups(world: World) -> None:
    with world.database.write() as connection:
        joined = [world.join(connection, number) for number in (1, 2, 3)]
        expected: list[set[PolicyId]] = [set()]
        for device in joined[1:]:
            policy = world.policies.create(connection, world.acting, a_draft())
            assign(connection, world.acting, policy.id, [include(world.group(connection, len(expected), device))])
            expected.append({policy.id})
        connection.execute(check_ins_table.update().values(target_digest=None))
        retarget(connection, joined, NOON)

        assert [policies_of(connection, device) for device in joined] == expected


def test_a_disabled_device_is_left_alone_until_it_is_enabled(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        group = world.group(connection, 1, device)
        directory.set_enabled(connection, world.acting, device, enabled=False)
        before = check_ins.get(connection, device)
        assign(connection, world.acting, policy.id, [include(group)])
        assert check_ins.get(connection, device) == before

        directory.set_enabled(connection, world.acting, device, enabled=True)
        assert policies_of(connection, device) == {policy.id}


def test_a_device_whose_target_changed_is_asked_to_come(world: World) -> None:
    with world.database.write() as connection:
        device, other = world.join(connection, 1), world.join(connection, 2)
        for each in (device, other):
            check_ins.clear_sync(connection, each)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [include(world.group(connection, 1, device))])

        assert sync.due(connection, [device, other]) == {device}


def test_an_unknown_group_is_refused_by_its_name_and_nothing_changes(world: World) -> None:
    with world.database.write() as connection:
        group = world.group(connection, 1, world.join(connection, 1))
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [include(group)])
        with pytest.raises(UnknownGroupError, match=group_id(99)):
            assign(connection, world.acting, policy.id, [include(group_id(99))])

        assert [each.group_id for each in assignments_of(connection, TENANT_ID, policy.id)] == [group]


@pytest.mark.parametrize(
    "wanted",
    [
        [include(group_id(1)), include(group_id(1))],
        [include(group_id(1)), exclude(group_id(1))],
        [ALL, ALL],
        [Assigned(kind=AssignmentKind.INCLUDE)],
        [Assigned(kind=AssignmentKind.ALL_DEVICES, group_id=group_id(1))],
    ],
)
def test_assignments_that_contradict_or_repeat_each_other_are_refused(world: World, wanted: list[Assigned]) -> None:
    with world.database.write() as connection:
        world.group(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        with pytest.raises(InvalidAssignmentError):
            assign(connection, world.acting, policy.id, wanted)

        assert assignments_of(connection, TENANT_ID, policy.id) == ()


def test_a_policy_that_is_not_there_cannot_be_assigned(world: World) -> None:
    with world.database.write() as connection, pytest.raises(NotFoundError):
        assign(connection, world.acting, PolicyId(group_id(1)), [ALL])


_GROUPS = [GroupId(f"group {number}") for number in range(3)]


def _assigned(policy: int, kind: AssignmentKind, group: GroupId | None) -> AssignedItem:
    item = ManifestItem(policy_id=PolicyId(str(policy)), revision=1, digest=Digest(str(policy)), length=2)
    return AssignedItem(
        assignment=Assignment(policy_id=item.policy_id, kind=kind, group_id=group), item=item, template_id=ANTIVIRUS
    )


@given(
    memberships=st.sets(st.sampled_from(_GROUPS)),
    assigned=st.lists(
        st.builds(_assigned, st.integers(1, 3), st.sampled_from(AssignmentKind), st.sampled_from(_GROUPS)), max_size=8
    ),
    data=st.data(),
)
def test_a_device_gets_what_includes_it_and_nothing_excludes_it_from(
    memberships: set[GroupId], assigned: list[AssignedItem], data: st.DataObject
) -> None:
    def names(policy: str, kind: AssignmentKind) -> bool:
        return any(
            each.item.policy_id == policy and each.assignment.kind is kind and each.assignment.group_id in memberships
            for each in assigned
        )

    def everybody(policy: str) -> bool:
        return any(
            each.item.policy_id == policy and each.assignment.kind is AssignmentKind.ALL_DEVICES for each in assigned
        )

    expected = {
        policy
        for policy in ("1", "2", "3")
        if (names(policy, AssignmentKind.INCLUDE) or everybody(policy)) and not names(policy, AssignmentKind.EXCLUDE)
    }

    shuffled = data.draw(st.permutations(assigned))
    assert {item.policy_id for item in items_for(memberships, shuffled)} == expected


_SMALL = st.integers(0, 3)
_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.just(0)),
        st.tuples(st.just("edit"), _SMALL, st.sampled_from(["true", "false"])),
        st.tuples(st.just("delete"), _SMALL),
        st.tuples(
            st.just("assign"),
            _SMALL,
            st.dictionaries(
                st.integers(0, 4), st.sampled_from([AssignmentKind.INCLUDE, AssignmentKind.EXCLUDE]), max_size=3
            ),
            st.booleans(),
        ),
        st.tuples(st.just("member"), _SMALL, st.integers(0, 2), st.booleans()),
        st.tuples(st.just("rule"), st.sampled_from(["device-1", "device-2", "device"])),
        st.tuples(st.just("join"), st.just(0)),
        st.tuples(st.just("rename"), _SMALL, st.sampled_from(["device-1", "printer"])),
        st.tuples(st.just("enable"), _SMALL, st.booleans()),
        st.tuples(st.just("retire"), _SMALL),
        st.tuples(st.just("narrow"), _SMALL, st.sampled_from(FilterKind), _SMALL, st.booleans()),
        st.tuples(st.just("filter"), st.sampled_from(["device-1", "device-2", "device"])),
        st.tuples(st.just("tag"), _SMALL, st.booleans()),
    ),
    max_size=20,
)


def _filter(prefix: str) -> FilterDraft:
    rule = f'device.deviceName -startsWith "{prefix}" or device.deviceTag -eq "web"'
    return FilterDraft(display_name="F", platform="linux", rule=rule)


class _Play:
    """Carries out drawn operations; what there is nothing to do for is passed over."""

    def __init__(self, world: World, connection: Connection) -> None:
        self.world, self.connection, self.acting = world, connection, world.acting
        self.joined = 0
        self.join(0)
        self.join(0)
        draft = GroupDraft(display_name="G", mail_nickname="g")
        made = [directory_groups.create_group(connection, self.acting, draft).id for _ in range(3)]
        dynamic = GroupDraft(
            display_name="D", mail_nickname="d", membership_rule='device.displayName -startsWith "device"'
        )
        self.dynamic = directory_groups.create_group(connection, self.acting, dynamic).id
        self.groups = [*made, self.dynamic, made[0]]
        self.narrowing = create_filter(connection, self.acting, _filter("device-1")).id
        self.member(0, 0, joins=True)
        self.member(1, 1, joins=True)
        for index, kinds in enumerate(({}, {0: AssignmentKind.INCLUDE, 1: AssignmentKind.INCLUDE})):
            self.create(0)
            self.assign(index, kinds, everybody=not kinds)

    def policy(self, index: int) -> PolicyId | None:
        found = policies.list_policies(self.connection, TENANT_ID, Page())
        return found[index % len(found)].id if found else None

    def device(self, index: int) -> DeviceId:
        return device_id(1 + index % self.joined)

    def create(self, _: int) -> None:
        self.world.policies.create(self.connection, self.acting, a_draft())

    def edit(self, index: int, cloud: str) -> None:
        if policy := self.policy(index):
            self.world.policies.update(self.connection, self.acting, policy, a_draft(cloud=cloud))

    def delete(self, index: int) -> None:
        if policy := self.policy(index):
            self.world.policies.delete(self.connection, self.acting, policy)

    def assign(self, index: int, kinds: dict[int, AssignmentKind], everybody: bool) -> None:
        named = {self.groups[group]: kind for group, kind in kinds.items()}
        wanted = [Assigned(kind=kind, group_id=group) for group, kind in named.items()] + [ALL] * everybody
        if policy := self.policy(index):
            assign(self.connection, self.acting, policy, wanted)

    def member(self, device: int, group: int, joins: bool) -> None:
        chosen, named = self.device(device), self.groups[group]
        there = group_members.is_member(self.connection, named, chosen)
        retired = devices.get(self.connection, chosen).state is DeviceState.RETIRED
        if joins and not retired:
            assigned_members.add_member(self.connection, self.acting, named, chosen)
        elif not joins and there:
            assigned_members.remove_member(self.connection, self.acting, named, chosen)

    def rule(self, prefix: str) -> None:
        draft = GroupDraft(
            display_name="D", mail_nickname="d", membership_rule=f'device.displayName -startsWith "{prefix}"'
        )
        directory_groups.update_group(self.connection, self.acting, self.dynamic, draft)

    def narrow(self, index: int, kind: FilterKind, group: int, everybody: bool) -> None:
        named = None if kind is FilterKind.NONE else self.narrowing
        first = replace(ALL if everybody else include(self.groups[group]), filter_id=named, filter_kind=kind)
        if policy := self.policy(index):
            assign(self.connection, self.acting, policy, [first])

    def filter(self, prefix: str) -> None:
        update_filter(self.connection, self.acting, self.narrowing, _filter(prefix))

    def tag(self, index: int, tagged: bool) -> None:
        change = {"add": ["web"]} if tagged else {"remove": ["web"]}
        directory.change_tags(self.connection, self.acting, self.device(index), **change)

    def join(self, _: int) -> None:
        self.joined += 1
        self.world.join(self.connection, self.joined)

    def rename(self, index: int, name: str) -> None:
        directory.rename(self.connection, self.acting, self.device(index), name)

    def enable(self, index: int, enabled: bool) -> None:
        if devices.get(self.connection, self.device(index)).state is not DeviceState.RETIRED:
            directory.set_enabled(self.connection, self.acting, self.device(index), enabled=enabled)

    def retire(self, index: int) -> None:
        directory.retire(self.connection, self.acting, self.device(index))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(operations=_OPERATIONS)
def test_targets_after_any_operations_equal_a_full_recompute(world: World, operations: list[tuple[Any, ...]]) -> None:
    with world.undone() as connection:
        play = _Play(world, connection)
        for name, *arguments in operations:
            getattr(play, name)(*arguments)

        active = devices.speaking_ids(connection, TENANT_ID)
        incremental = {device: check_ins.get(connection, device).target_digest for device in active}
        connection.execute(check_ins_table.update().values(target_digest=None))
        retarget(connection, active, NOON)

        assert incremental == {device: check_ins.get(connection, device).target_digest for device in active}


def _settled(world: World, device: DeviceId) -> None:
    """The target that came out is the one that a full recompute finds."""
    with world.database.write() as connection:
        assert retarget(connection, [device], NOON) == frozenset()
        assert len(policies_of(connection, device)) == 1


# SQLite has one writer: there, transactions never overlap.
on_postgresql = pytest.mark.parametrize(
    "database", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


def _prepared(world: World) -> tuple[DeviceId, GroupId, PolicyId]:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        group = world.group(connection, 1)
        return device, group, world.policies.create(connection, world.acting, a_draft()).id


@on_postgresql
def test_a_device_that_joins_a_group_while_a_policy_is_assigned_to_it_gets_the_policy(world: World) -> None:
    device, group, policy = _prepared(world)
    with world.database.write() as joining:
        group_members.add_members(joining, group, [device])
        with world.database.write() as assigning:
            assign(assigning, world.acting, policy, [include(group)])
        world.acting.tell(joining, [device])

    _settled(world, device)


@on_postgresql
def test_a_policy_assigned_to_a_group_while_a_device_joins_it_reaches_the_device(world: World) -> None:
    device, group, policy = _prepared(world)

    def join() -> None:
        with world.database.write() as joining:
            assigned_members.add_member(joining, world.acting, group, device)

    with ThreadPoolExecutor(max_workers=1) as threads:
        with world.database.write() as assigning:
            assign(assigning, world.acting, policy, [include(group)])
            joined = threads.submit(join)
            _await_lock(assigning)
        joined.result(timeout=30)

    _settled(world, device)


@on_postgresql
def test_a_policy_assigned_to_a_group_while_it_is_deleted_is_refused_in_our_words(world: World) -> None:
    _, group, policy = _prepared(world)

    def assign_it() -> None:
        with world.database.write() as assigning:
            assign(assigning, world.acting, policy, [include(group)])

    with ThreadPoolExecutor(max_workers=1) as threads:
        with world.database.write() as deleting:
            directory_groups.delete_group(deleting, world.acting, group)
            assigned = threads.submit(assign_it)
            _await_lock(deleting)
        with pytest.raises(UnknownGroupError):
            assigned.result(timeout=30)


def _await_lock(connection: Connection) -> None:
    """Return once somebody waits for the lock that this transaction holds."""
    waiting = text("select count(*) from pg_locks where locktype = 'advisory' and not granted")
    deadline = time.monotonic() + 30
    while connection.execute(waiting).scalar_one() == 0:
        assert time.monotonic() < deadline, "nobody waits: targeting is not serialised"


@pytest.mark.parametrize(
    ("changes", "gets"),
    [
        ({}, {"antivirus", "firewall"}),
        ({"is_domain_controller": True}, {"antivirus"}),
        ({"enrollment_code": 3}, set()),
        ({"enrollment_code": 3, "is_domain_controller": True}, set()),
        ({"state": DeviceState.QUARANTINED}, {"antivirus", "firewall"}),
    ],
)
def test_what_a_device_is_decides_what_reaches_it(world: World, changes: dict[str, object], gets: set[str]) -> None:
    with world.database.write() as connection:
        made = {
            "antivirus": world.policies.create(connection, world.acting, a_draft()),
            "firewall": world.policies.create(connection, world.acting, a_firewall_draft()),
        }
        for policy in made.values():
            assign(connection, world.acting, policy.id, [ALL])
        device = world.join(connection, 1, **changes)
        target = check_ins.get(connection, device).target_digest
        assert target is not None
        found = targets.get(connection, TENANT_ID, target)
    assert {item.policy_id for item in found.items} == {made[name].id for name in gets}
    assert not found.offboard


def test_a_device_that_leaves_gets_the_order_to_and_nothing_else(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
        device = world.join(connection, 1, state=DeviceState.LEAVING)
        target = check_ins.get(connection, device).target_digest
        assert target is not None
        assert targets.get(connection, TENANT_ID, target) == Target(items=(), offboard=True)
