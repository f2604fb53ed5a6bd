"""Filters narrow assignments, and every change of a filter or a device reaches the devices it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.manager.test_targeting import ALL, exclude, include, policies_of
from tests.support.manager_world import World, a_draft, caller
from tests.support.samples import TENANT_ID, counted_id

from shieldwall.contract import strict_json
from shieldwall.contract.ids import AssignmentFilterId, TenantId
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, DeviceFacts, Have
from shieldwall.policy.membership import InvalidRuleError
from shieldwall.server.directory import devices as directory
from shieldwall.server.directory.membership import matches_otherwise
from shieldwall.server.manager.assignments import (
    InvalidAssignmentError,
    UnknownFilterError,
    assign,
    assignments_of,
)
from shieldwall.server.manager.filters import (
    FilterDraft,
    InvalidFilterError,
    create_filter,
    delete_filter,
    draft_of_filter,
    get_filter,
    list_filters,
    update_filter,
)
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import FilterKind, Page

WEB = FilterDraft(display_name="Web", platform="linux", rule='device.deviceTag -eq "web"')
STRANGER = TenantId("00000000-0000-4000-8000-00000000000b")


def test_an_include_filter_lets_through_who_matches_and_an_exclude_filter_who_does_not(world: World) -> None:
    with world.database.write() as connection:
        matching, other = world.join(connection, 1, tags=("web",)), world.join(connection, 2)
        narrowing = create_filter(connection, world.acting, WEB).id
        policy = world.policies.create(connection, world.acting, a_draft())
        group = world.group(connection, 1, matching, other)
        for named in (ALL, include(group)):
            for kind, reached in ((FilterKind.INCLUDE, matching), (FilterKind.EXCLUDE, other)):
                assign(connection, world.acting, policy.id, [replace(named, filter_id=narrowing, filter_kind=kind)])

                assert policies_of(connection, reached) == {policy.id}
                assert policies_of(connection, matching if reached is other else other) == set()
        found = assignments_of(connection, TENANT_ID, policy.id)
        assert [(each.filter_id, each.filter_kind) for each in found] == [(narrowing, FilterKind.EXCLUDE)]


def test_a_filter_narrows_its_own_assignment_alone(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1, tags=("web",))
        narrowing = create_filter(connection, world.acting, WEB).id
        policy = world.policies.create(connection, world.acting, a_draft())
        group = world.group(connection, 1, device)
        kept_out = replace(ALL, filter_id=narrowing, filter_kind=FilterKind.EXCLUDE)
        assign(connection, world.acting, policy.id, [kept_out, include(group)])

        assert policies_of(connection, device) == {policy.id}


def test_a_changed_filter_reaches_every_device_it_is_about(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        narrowing = create_filter(connection, world.acting, WEB)
        policy = world.policies.create(connection, world.acting, a_draft())
        only = replace(ALL, filter_id=narrowing.id, filter_kind=FilterKind.INCLUDE)
        assign(connection, world.acting, policy.id, [only])
        assert policies_of(connection, device) == set()

        world.clock.advance(minutes=1)
        changed = update_filter(
            connection, world.acting, narrowing.id, replace(WEB, rule='device.deviceName -startsWith "device"')
        )
        assert policies_of(connection, device) == {policy.id}
        assert changed.modified_at == world.clock.now()
        update_filter(connection, world.acting, narrowing.id, replace(WEB, platform="macOS"))
        assert policies_of(connection, device) == set()


def test_a_device_that_is_tagged_or_renamed_gets_and_loses_what_filters_say(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        narrowing = create_filter(
            connection, world.acting, replace(WEB, rule='device.deviceTag -eq "web" and device.deviceName -ne "x"')
        )
        policy = world.policies.create(connection, world.acting, a_draft())
        only = replace(ALL, filter_id=narrowing.id, filter_kind=FilterKind.INCLUDE)
        assign(connection, world.acting, policy.id, [only])

        directory.change_tags(connection, world.acting, device, add=["web"])
        assert policies_of(connection, device) == {policy.id}
        directory.rename(connection, world.acting, device, "x")
        assert policies_of(connection, device) == set()


def test_a_device_gets_what_a_filter_lets_through_in_the_answer_to_its_new_facts(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        rule = 'device.osVersion -startsWith "Debian 13"'
        narrowing = create_filter(connection, world.acting, replace(WEB, rule=rule))
        policy = world.policies.create(connection, world.acting, a_draft())
        only = replace(ALL, filter_id=narrowing.id, filter_kind=FilterKind.INCLUDE)
        assign(connection, world.acting, policy.id, [only])
        assert policies_of(connection, device) == set()

        known = devices.get(connection, device)
        facts = DeviceFacts(
            display_name=known.display_name,
            os_type="Linux",
            os_version="Debian 13",
            architecture=known.architecture,
            agent_version=known.agent_version,
            catalog_version=known.catalog_version,
        )
        request = CheckInRequest(
            epoch=1,
            seq=1,
            instance_id="b" * 32,
            boot_id="c" * 32,
            agent_version="0.1.0",
            protocol=PROTOCOL,
            have=Have(),
            facts=facts,
        )
        digest = strict_json.digest_of(request)
        outcome = world.check_in.record(connection, caller(device), request, digest)

        assert policies_of(connection, device) == {policy.id}
        assert [item.policy_id for item in outcome.target.items] == [policy.id]  # type: ignore[union-attr]


def test_a_filter_in_use_cannot_be_deleted_and_a_free_one_can(world: World) -> None:
    with world.database.write() as connection:
        narrowing = create_filter(connection, world.acting, WEB)
        policy = world.policies.create(connection, world.acting, a_draft())
        only = replace(ALL, filter_id=narrowing.id, filter_kind=FilterKind.INCLUDE)
        assign(connection, world.acting, policy.id, [only])
    with pytest.raises(StillReferencedError), world.database.write() as connection:
        delete_filter(connection, world.acting, narrowing.id)
    with world.database.write() as connection:
        assign(connection, world.acting, policy.id, [ALL])
        delete_filter(connection, world.acting, narrowing.id)
        with pytest.raises(NotFoundError):
            get_filter(connection, TENANT_ID, narrowing.id)


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"display_name": " "}, "displayName"),
        ({"description": "d" * 1_025}, "description"),
        ({"platform": "iOS"}, "platform"),
        ({"rule": 'device.deviceTag -eq "\x00"'}, "rule"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_its_part(change: dict[str, Any], member: str) -> None:
    with pytest.raises(InvalidFilterError) as refused:
        replace(WEB, **change)

    assert refused.value.member == member


def test_a_rule_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(InvalidRuleError, match="operatingSystemSKU"):
        replace(WEB, rule='device.operatingSystemSKU -eq "x"')


def test_assignments_name_filters_of_their_tenant_and_where_they_mean_something(world: World) -> None:
    with world.database.write() as connection:
        narrowing = create_filter(connection, world.acting, WEB)
        policy = world.policies.create(connection, world.acting, a_draft())
        group = world.group(connection, 1)
        unknown = AssignmentFilterId(counted_id("9", 9))
        for wanted in (
            replace(ALL, filter_id=narrowing.id),
            replace(ALL, filter_kind=FilterKind.INCLUDE),
            replace(exclude(group), filter_id=narrowing.id, filter_kind=FilterKind.INCLUDE),
        ):
            with pytest.raises(InvalidAssignmentError):
                assign(connection, world.acting, policy.id, [wanted])
        with pytest.raises(UnknownFilterError, match=unknown):
            assign(
                connection,
                world.acting,
                policy.id,
                [replace(ALL, filter_id=unknown, filter_kind=FilterKind.INCLUDE)],
            )
        with pytest.raises(NotFoundError):
            get_filter(connection, STRANGER, narrowing.id)


def test_filters_are_listed_and_every_act_is_in_the_audit_trail(world: World) -> None:
    with world.database.write() as connection:
        made = create_filter(connection, world.acting, WEB)
        assert draft_of_filter(made) == WEB
        world.clock.advance(seconds=1)
        assert update_filter(connection, world.acting, made.id, WEB) == made
        changed = update_filter(connection, world.acting, made.id, replace(WEB, display_name="Servers"))
        assert list_filters(connection, TENANT_ID, Page()) == (changed,)
        world.clock.advance(seconds=1)
        delete_filter(connection, world.acting, made.id)
        events = audit.list_events(connection, TENANT_ID, Page())

    assert [event.activity for event in events] == ["filter.deleted", "filter.changed", "filter.created"]


@pytest.mark.parametrize(
    "database", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)  # SQLite has one writer: there, transactions never overlap
def test_a_device_that_is_tagged_while_a_filter_begins_to_ask_for_the_tag_gets_the_policy(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        narrowing = create_filter(connection, world.acting, WEB)
        policy = world.policies.create(connection, world.acting, a_draft())
    with world.database.write() as tagging:
        before = devices.get(tagging, device)
        tagged = replace(before, tags=("web",))
        devices.put(tagging, tagged)
        with world.database.write() as assigning:
            only = replace(ALL, filter_id=narrowing.id, filter_kind=FilterKind.INCLUDE)
            assign(assigning, world.acting, policy.id, [only])
        assert matches_otherwise(tagging, before, tagged)
        world.acting.tell(tagging, [device])

    with world.database.read() as connection:
        assert policies_of(connection, device) == {policy.id}
