"""Groups stay true whatever changes: devices, rules, other groups, pauses. And history tells what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.support.office import Office
from tests.support.samples import TENANT_ID, a_device, a_group, a_tenant, counted_id, device_id, group_id

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.policy.membership import MEMBER_OF, parse_rule
from shieldwall.policy.rule_tree import PROPERTIES
from shieldwall.server.directory import assigned_members, groups
from shieldwall.server.directory import devices as directory_devices
from shieldwall.server.directory.attributes import attributes_of, described_fleet
from shieldwall.server.directory.group_rules import evaluate
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.invalid_group import InvalidGroupError
from shieldwall.server.directory.membership import reevaluate_asking, reevaluate_device
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState
from shieldwall.server.storage.devices import devices as device_store
from shieldwall.server.storage.errors import StillReferencedError
from shieldwall.server.storage.fleets.fleets import Whose
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.groups import groups as group_store
from shieldwall.server.storage.records import Group, MembershipCause, Page, ProcessingState
from shieldwall.server.storage.tenants import tenants

LINUX = 'device.deviceOSType -eq "Linux"'
WEB = 'device.tags -any (_ -eq "web")'
OTHER = TenantId(counted_id("1", 1))


def a_draft(rule: str | None = None, state: ProcessingState = ProcessingState.ON, name: str = "Servers") -> GroupDraft:
    return GroupDraft(display_name=name, mail_nickname="servers", membership_rule=rule, processing_state=state)


def members_of(*wanted: GroupId) -> str:
    return f"device.memberOf -any (group.objectId -in [{', '.join(repr(str(each)) for each in wanted)}])"


def belonging(connection: Connection, group: Group) -> set[DeviceId]:
    return set(group_members.member_ids(connection, group.id))


def test_a_device_and_a_fleet_show_rules_the_same(connection: Connection, office: Office) -> None:
    told = {
        "tags": ("web", "db"),
        "manufacturer": "",
        "extension_attributes": {"extensionAttribute3": "x"},
        "physical_ids": ("[ZTDId]:1",),
        "is_rooted": False,
        "attestation_level": AttestationLevel.TPM,
        "mdm_app_id": "app",
    }
    present = [a_device(1), a_device(2, **told), a_device(3, state=DeviceState.DISABLED, enrollment_code=2)]
    for device in present:
        device_store.add(connection, device)
    group = groups.create_group(connection, office.acting, a_draft(name="Assigned"))
    assigned_members.add_member(connection, office.acting, group.id, device_id(2))
    rules = [
        parse_rule(text)
        for text in (
            f"-not {members_of(group.id)}",
            "device.accountEnabled -eq true -and device.isRooted -eq null",
            *(f"device.{name} -eq null" for name in PROPERTIES if name != MEMBER_OF),
        )
    ]
    fleet = described_fleet(connection, TENANT_ID, rules, Whose.EXISTING)

    assert fleet.ids == tuple(device.id for device in present)
    assert set(fleet.columns.columns) == set(PROPERTIES)
    for place, device in enumerate(present):
        seen = {name: column.values[column.codes[place]] for name, column in fleet.columns.columns.items()}
        belongs = (str(group.id),) if device.id == device_id(2) else ()
        assert seen == {**attributes_of(device), MEMBER_OF: belongs}


def test_retired_devices_and_those_of_others_are_not_described(connection: Connection) -> None:
    tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
    device_store.add(connection, a_device(1, tenant_id=OTHER))
    device_store.add(connection, a_device(2, state=DeviceState.RETIRED))
    device_store.add(connection, a_device(3, state=DeviceState.DISABLED))
    device_store.add(connection, a_device(4))

    def ids(whose: Whose) -> tuple[DeviceId, ...]:
        return described_fleet(connection, TENANT_ID, [parse_rule(LINUX)], whose).ids

    assert ids(Whose.EXISTING) == (device_id(3), device_id(4))
    assert ids(Whose.MANAGED) == (device_id(4),)


def test_a_paused_group_keeps_its_members_and_resuming_makes_it_true(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    group = groups.create_group(connection, office.acting, a_draft(LINUX))
    paused = a_draft(LINUX, ProcessingState.PAUSED)
    groups.update_group(connection, office.acting, group.id, paused)
    office.told.clear()

    device_store.add(connection, a_device(2))
    reevaluate_device(connection, office.acting, a_device(2))
    moved = replace(a_device(1), os_type="Windows")
    device_store.put(connection, moved)
    reevaluate_device(connection, office.acting, moved)
    groups.update_group(connection, office.acting, group.id, replace(paused, membership_rule=f"-not {WEB}"))
    groups.update_group(connection, office.acting, group.id, paused)
    assert belonging(connection, group) == {device_id(1)}
    assert office.told == []

    groups.update_group(connection, office.acting, group.id, a_draft(LINUX))

    assert belonging(connection, group) == {device_id(2)}
    assert office.told == [{device_id(1), device_id(2)}]
    causes = {event.cause for event in groups.history_of_device(connection, TENANT_ID, device_id(2), Page())}
    assert causes == {MembershipCause.PROCESSING_RESUMED}


def test_a_group_made_paused_stays_empty_and_only_rules_are_paused(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    group = groups.create_group(connection, office.acting, a_draft(LINUX, ProcessingState.PAUSED))

    assert belonging(connection, group) == set()
    with pytest.raises(InvalidGroupError, match="paused"):
        a_draft(None, ProcessingState.PAUSED)


def test_a_retired_device_leaves_paused_groups_too(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1))
    group = groups.create_group(connection, office.acting, a_draft(LINUX))
    groups.update_group(connection, office.acting, group.id, a_draft(LINUX, ProcessingState.PAUSED))

    directory_devices.retire(connection, office.acting, device_id(1))

    assert belonging(connection, group) == set()
    newest, *_ = groups.history_of_group(connection, TENANT_ID, group.id, Page())
    assert (newest.joined, newest.cause, newest.actor) == (False, MembershipCause.DEVICE_RETIRED, "Ada")


def test_a_rule_follows_the_members_of_the_groups_it_names(connection: Connection, office: Office) -> None:
    for number in (1, 2, 3):
        device_store.add(connection, a_device(number, tags=("web",) if number == 3 else ()))
    chosen = groups.create_group(connection, office.acting, a_draft())
    web = groups.create_group(connection, office.acting, a_draft(WEB))
    both = groups.create_group(connection, office.acting, a_draft(members_of(chosen.id, web.id)))
    rest = groups.create_group(connection, office.acting, a_draft(f"{LINUX} -and -not {members_of(chosen.id)}"))
    assert belonging(connection, both) == {device_id(3)}
    office.told.clear()

    assigned_members.add_member(connection, office.acting, chosen.id, device_id(1))
    assert belonging(connection, both) == {device_id(1), device_id(3)}
    assert belonging(connection, rest) == {device_id(2), device_id(3)}
    assert office.told == [{device_id(1)}]

    groups.update_group(connection, office.acting, web.id, a_draft(f"-not {WEB}"))
    assert belonging(connection, both) == {device_id(1), device_id(2)}

    assigned_members.remove_member(connection, office.acting, chosen.id, device_id(1))
    tagged = replace(a_device(1), tags=("web",))
    device_store.put(connection, tagged)
    assert reevaluate_device(connection, office.acting, tagged) == {web.id, both.id}
    assert belonging(connection, both) == {device_id(2)}
    assert belonging(connection, rest) == {device_id(1), device_id(2), device_id(3)}


def test_rules_name_only_groups_that_are_there_and_name_none_themselves(connection: Connection, office: Office) -> None:
    tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
    group_store.add(connection, a_group(1, tenant_id=OTHER))
    named = groups.create_group(connection, office.acting, a_draft(name="Named"))
    asking = groups.create_group(connection, office.acting, a_draft(members_of(named.id), name="Asking"))

    for rule, said in {
        members_of(group_id(9)): "not there",
        members_of(group_id(1)): "not there",
        members_of(asking.id): "Asking",
    }.items():
        with pytest.raises(InvalidGroupError, match=said) as refused:
            groups.create_group(connection, office.acting, a_draft(rule))
        assert refused.value.member == "membershipRule"
    with pytest.raises(InvalidGroupError, match="own group"):
        groups.update_group(connection, office.acting, named.id, a_draft(members_of(named.id)))
    other = groups.create_group(connection, office.acting, a_draft(name="Other"))
    with pytest.raises(InvalidGroupError, match="Asking"):
        groups.update_group(connection, office.acting, named.id, a_draft(members_of(other.id)))
    with pytest.raises(StillReferencedError, match="Asking"):
        groups.delete_group(connection, office.acting, named.id)

    groups.delete_group(connection, office.acting, asking.id)
    groups.delete_group(connection, office.acting, named.id)


def test_history_says_who_joined_and_left_when_and_why(connection: Connection, office: Office) -> None:
    for number in (1, 2):
        device_store.add(connection, a_device(number))
    group = groups.create_group(connection, office.acting, a_draft())
    assigned_members.add_member(connection, office.acting, group.id, device_id(1))
    assigned_members.add_member(connection, office.acting, group.id, device_id(1))
    office.clock.advance(minutes=1)
    assigned_members.remove_member(connection, office.acting, group.id, device_id(1))
    office.clock.advance(minutes=1)
    groups.update_group(connection, office.acting, group.id, a_draft(LINUX))

    history = groups.history_of_group(connection, TENANT_ID, group.id, Page())
    assert [(event.device_id, event.joined, event.cause) for event in history] == [
        (device_id(2), True, MembershipCause.RULE_CHANGED),
        (device_id(1), True, MembershipCause.RULE_CHANGED),
        (device_id(1), False, MembershipCause.REMOVED),
        (device_id(1), True, MembershipCause.ADDED),
    ]
    assert {event.actor for event in history} == {"Ada"}
    assert [event.at for event in history] == sorted((event.at for event in history), reverse=True)

    paged = groups.history_of_group(connection, TENANT_ID, group.id, Page(size=1))
    paged += groups.history_of_group(connection, TENANT_ID, group.id, Page(size=9, after=paged[0].id))
    assert paged == history

    groups.delete_group(connection, office.acting, group.id)
    newest, *_ = groups.history_of_device(connection, TENANT_ID, device_id(1), Page())
    assert (newest.joined, newest.cause, newest.group_id) == (False, MembershipCause.GROUP_DELETED, group.id)


def test_what_changed_for_many_at_once_is_followed_where_rules_ask_for_it(
    connection: Connection, office: Office
) -> None:
    device_store.add(connection, a_device(1))
    managed = groups.create_group(connection, office.acting, a_draft('device.managementType -eq "MicrosoftSense"'))
    groups.create_group(connection, office.acting, a_draft('device.displayName -contains "managementType"'))
    device_store.put(connection, a_device(1, enrollment_code=2))

    assert reevaluate_asking(connection, office.acting, "managementType") == {device_id(1)}
    assert belonging(connection, managed) == set()


def test_a_rule_is_explained_with_what_was_found(connection: Connection, office: Office) -> None:
    device_store.add(connection, a_device(1, tags=("db",)))
    group = groups.create_group(connection, office.acting, a_draft())
    assigned_members.add_member(connection, office.acting, group.id, device_id(1))
    rule = parse_rule(f"{LINUX} -and ({WEB} -or {members_of(group.id)})")

    verdict = evaluate(connection, TENANT_ID, device_id(1), rule, frozenset)

    assert verdict.holds
    system, joined = verdict.parts
    assert (system.name, system.found, system.holds) == ("deviceOSType", "Linux", True)
    assert [(part.name, part.found, part.holds) for part in joined.parts] == [
        ("deviceTag", ("db",), False),
        (MEMBER_OF, (str(group.id),), True),
    ]


_NUMBERS = st.integers(1, 4)
_CHOICES = st.integers(0, 5)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tag"), _NUMBERS, st.sampled_from([(), ("web",), ("web", "db")])),
        st.tuples(st.just("retire"), _NUMBERS),
        st.tuples(st.just("rule"), st.integers(0, 2), _CHOICES, st.sampled_from(ProcessingState)),
        st.tuples(st.just("member"), _NUMBERS, st.booleans()),
    ),
    max_size=12,
)


class _Play:
    """Four devices; an assigned group, a dynamic one, one that asks for both."""

    def __init__(self, connection: Connection, office: Office) -> None:
        self.connection, self.acting = connection, office.acting
        for number in range(1, 5):
            device_store.add(connection, a_device(number, os_type="Linux" if number % 2 else "Windows"))
        self.chosen = groups.create_group(connection, self.acting, a_draft())
        self.made = [groups.create_group(connection, self.acting, a_draft(WEB)) for _ in range(2)]
        self.made.append(groups.create_group(connection, self.acting, a_draft(self.rule(2, 0))))

    def rule(self, group: int, choice: int) -> str:
        plain = (WEB, LINUX, f"-not ({WEB})", f"{LINUX} -and {WEB}", "device.tags -eq null", "device.objectId -ne null")
        if group < 2:
            return plain[choice]
        return f"{'-not ' if choice % 2 else ''}{members_of(self.chosen.id, self.made[0].id)} -or {plain[choice]}"

    def tag(self, number: int, tags: tuple[str, ...]) -> None:
        before = device_store.get(self.connection, device_id(number)).tags
        directory_devices.change_tags(
            self.connection, self.acting, device_id(number), add=tags, remove=set(before) - set(tags)
        )

    def retire(self, number: int) -> None:
        directory_devices.retire(self.connection, self.acting, device_id(number))

    def member(self, number: int, belongs: bool) -> None:
        retired = device_store.get(self.connection, device_id(number)).state is DeviceState.RETIRED
        is_member = group_members.is_member(self.connection, self.chosen.id, device_id(number))
        if belongs and not retired:
            assigned_members.add_member(self.connection, self.acting, self.chosen.id, device_id(number))
        elif not belongs and is_member:
            assigned_members.remove_member(self.connection, self.acting, self.chosen.id, device_id(number))

    def rule_of(self, group: int, choice: int, state: ProcessingState) -> None:
        groups.update_group(self.connection, self.acting, self.made[group].id, a_draft(self.rule(group, choice), state))

    def step(self, name: str, *arguments: Any) -> None:
        steps: dict[str, Callable[..., None]] = {
            "tag": self.tag,
            "retire": self.retire,
            "member": self.member,
            "rule": self.rule_of,
        }
        steps[name](*arguments)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(steps=_STEPS)
def test_membership_kept_step_by_step_equals_membership_found_anew(
    connection: Connection, office: Office, steps: list[tuple[Any, ...]]
) -> None:
    with connection.begin_nested() as undone:
        play = _Play(connection, office)
        for step in steps:
            office.clock.advance(seconds=1)  # what happened in one moment has no order
            play.step(*step)
        now = [group_store.get(connection, group.id) for group in play.made]
        everyone = device_store.find_many(connection, [device_id(number) for number in range(1, 5)])
        memberships = group_members.memberships(connection, [device.id for device in everyone])
        for group in now:
            if group.processing_state is ProcessingState.PAUSED:
                continue
            rule = parse_rule(group.membership_rule or "")
            expected = {
                device.id
                for device in everyone
                if device.state is not DeviceState.RETIRED
                and rule.matches({**attributes_of(device), MEMBER_OF: tuple(memberships[device.id])})
            }
            assert belonging(connection, group) == expected, group.membership_rule
        for device in everyone:
            told: set[GroupId] = set()
            for event in reversed(groups.history_of_device(connection, TENANT_ID, device.id, Page(size=500))):
                told ^= {event.group_id}
                assert (event.group_id in told) == event.joined
            assert told == memberships[device.id]
        undone.rollback()
