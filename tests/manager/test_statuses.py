from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.support.manager_world import CLOUD, DIAGNOSTIC, World, a_draft
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import DeviceId, Digest, PolicyId, SettingId, TenantId
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.status import RefusedPolicy, SettingState, SettingStatus, StatusReport
from shieldwall.policy.resolve import Conflict, Decided
from shieldwall.server.directory import devices as directory
from shieldwall.server.manager import conflict_rules
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.states import said
from shieldwall.server.manager.statuses import effective_of, policy_counts, policy_devices
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import AssignmentKind, Page, Policy

ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)
TARGET, OTHER = (strict_json.digest_of(name) for name in ("target", "other"))


def told(setting: SettingId, state: SettingState, **more: Any) -> SettingStatus:
    return SettingStatus(setting=setting, state=state, **more)


def to_all(world: World, connection: Connection, *arguments: Any, **changes: Any) -> Policy:
    policy = world.policies.create(connection, world.acting, a_draft(*arguments, **changes))
    assign(connection, world.acting, policy.id, [ALL])
    return policy


def reports(connection: Connection, device: DeviceId, *settings: SettingStatus, **more: Any) -> None:
    """The device says this about the target that it has now, unless ``target`` names another one."""
    target = more.pop("target", check_ins.get(connection, device).target_digest)
    report = StatusReport(target=target, settings=settings, **more)
    check_ins.set_status(connection, device, statuses.keep(connection, TENANT_ID, report), NOON)


def states_of(world: World, connection: Connection, device: DeviceId) -> dict[SettingId, SettingState]:
    effect = effective_of(connection, world.catalog, TENANT_ID, device)
    return {each.setting: each.state for each in effect.settings}


def counts_of(world: World, connection: Connection, policy: PolicyId) -> dict[SettingState, int]:
    return dict(policy_counts(connection, world.catalog, TENANT_ID, policy).devices)


def test_what_a_device_reports_about_its_target_is_what_is_in_effect(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = to_all(world, connection, diagnostic="1")
        reports(connection, device, told(CLOUD, SettingState.SUCCEEDED), told(DIAGNOSTIC, SettingState.ERROR))
        effect = effective_of(connection, world.catalog, TENANT_ID, device)

        assert states_of(world, connection, device) == {CLOUD: SettingState.SUCCEEDED, DIAGNOSTIC: SettingState.ERROR}
        assert effect.is_current
        assert [(each.item.policy_id, each.state) for each in effect.policies] == [(policy.id, SettingState.ERROR)]
        assert all(isinstance(each.resolution, Decided) for each in effect.settings)
        assert counts_of(world, connection, policy.id) == {SettingState.ERROR: 1}


def test_a_report_about_another_target_leaves_settings_pending(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = to_all(world, connection)
        reports(connection, device, told(CLOUD, SettingState.SUCCEEDED))
        assert counts_of(world, connection, policy.id) == {SettingState.SUCCEEDED: 1}

        world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"))

        assert states_of(world, connection, device) == {CLOUD: SettingState.PENDING}
        assert not effective_of(connection, world.catalog, TENANT_ID, device).is_current
        assert counts_of(world, connection, policy.id) == {SettingState.PENDING: 1}


def test_a_device_that_never_reported_is_pending(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = to_all(world, connection)

        assert states_of(world, connection, device) == {CLOUD: SettingState.PENDING}
        assert counts_of(world, connection, policy.id) == {SettingState.PENDING: 1}


def test_a_setting_nobody_was_told_about_is_pending_and_makes_its_policy_pending(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = to_all(world, connection, diagnostic="1")
        reports(connection, device, told(CLOUD, SettingState.SUCCEEDED))

        assert states_of(world, connection, device)[DIAGNOSTIC] is SettingState.PENDING
        counts = policy_counts(connection, world.catalog, TENANT_ID, policy.id)
        assert dict(counts.devices) == {SettingState.PENDING: 1}
        assert counts.settings[CLOUD] == {SettingState.SUCCEEDED: 1}
        assert counts.settings[DIAGNOSTIC] == {SettingState.PENDING: 1}


def test_words_about_strangers_are_kept_and_change_nobody_elses_state(world: World) -> None:
    with world.database.write() as connection:
        device, other = world.join(connection, 1), world.join(connection, 2)
        group = world.group(connection, 1, other)
        policy = to_all(world, connection)
        foreign = world.policies.create(connection, world.acting, a_draft("Foreign", diagnostic="1"))
        assign(connection, world.acting, foreign.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=group)])
        never = PolicyId(device_id(77))
        stray = told(SettingId("from_the_future"), SettingState.ERROR)
        reports(
            connection,
            device,
            told(CLOUD, SettingState.SUCCEEDED, policies=(foreign.id, never)),
            told(DIAGNOSTIC, SettingState.ERROR),
            stray,
            refused=(
                RefusedPolicy(policy_id=foreign.id, digest=foreign.digest, code="no", cause="no"),
                RefusedPolicy(policy_id=policy.id, digest=foreign.digest, code="old", cause="an old revision"),
            ),
        )

        effect = effective_of(connection, world.catalog, TENANT_ID, device)
        assert {each.setting for each in effect.strays} == {DIAGNOSTIC, stray.setting}
        assert {each.policy_id for each in effect.refused} == {foreign.id, policy.id}
        assert states_of(world, connection, device) == {CLOUD: SettingState.SUCCEEDED}
        assert counts_of(world, connection, policy.id) == {SettingState.SUCCEEDED: 1, SettingState.PENDING: 1}
        assert counts_of(world, connection, foreign.id) == {SettingState.PENDING: 1}


def test_a_refused_revision_is_an_error_of_its_policy_alone(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        refused, fine = to_all(world, connection, "A"), to_all(world, connection, "B")
        word = RefusedPolicy(policy_id=refused.id, digest=refused.digest, code="policySignature", cause="Not signed.")
        reports(connection, device, told(CLOUD, SettingState.SUCCEEDED), refused=(word,))

        assert counts_of(world, connection, refused.id) == {SettingState.ERROR: 1}
        assert counts_of(world, connection, fine.id) == {SettingState.SUCCEEDED: 1}


def test_policies_that_cannot_be_brought_together_are_shown_with_all_contenders(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        first, second = (to_all(world, connection, name, diagnostic=value) for name, value in (("A", "0"), ("B", "1")))
        effect = effective_of(connection, world.catalog, TENANT_ID, device)
        resolutions = {each.setting: each.resolution for each in effect.settings}

        found = resolutions[DIAGNOSTIC]
        assert isinstance(found, Conflict | Decided)
        assert {contender.policy for contender in found.contenders} == {first.id, second.id}


def test_devices_of_a_policy_are_listed_page_by_page_and_left_ones_are_not(world: World) -> None:
    with world.database.write() as connection:
        joined = [world.join(connection, number) for number in range(1, 6)]
        policy = to_all(world, connection)
        reports(connection, joined[2], told(CLOUD, SettingState.SUCCEEDED))
        directory.retire(connection, world.acting, joined[0])

        first = policy_devices(connection, world.catalog, TENANT_ID, policy.id, Page(size=3))
        rest = policy_devices(connection, world.catalog, TENANT_ID, policy.id, Page(size=3, after=first[-1].device_id))

        assert [each.device_id for each in (*first, *rest)] == joined[1:]
        assert [each.state for each in first] == [SettingState.PENDING, SettingState.SUCCEEDED, SettingState.PENDING]
        assert first[1].status_at == NOON
        assert counts_of(world, connection, policy.id) == {SettingState.PENDING: 3, SettingState.SUCCEEDED: 1}


def test_another_tenant_sees_neither_device_nor_policy(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = to_all(world, connection)
        stranger = TenantId("00000000-0000-4000-8000-00000000000b")
        with pytest.raises(NotFoundError):
            effective_of(connection, world.catalog, stranger, device)
        with pytest.raises(NotFoundError):
            policy_counts(connection, world.catalog, stranger, policy.id)
        with pytest.raises(NotFoundError):
            policy_devices(connection, world.catalog, stranger, policy.id, Page())


_WORDS = st.tuples(st.sampled_from([CLOUD, DIAGNOSTIC, SettingId("stray")]), st.sampled_from(SettingState))
_REPORTS = st.none() | st.tuples(st.booleans(), st.lists(_WORDS, max_size=4))
_TRAITS = st.sampled_from([{}, {"os_type": "Windows"}, {"os_type": "Solaris"}, {"catalog_version": "2026.10.1"}])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(drawn=st.lists(st.tuples(_TRAITS, _REPORTS), min_size=1, max_size=5))
def test_counts_are_the_sum_of_what_is_in_effect_on_each_device(
    world: World, drawn: list[tuple[dict[str, str], tuple[bool, list[tuple[SettingId, SettingState]]] | None]]
) -> None:
    with world.undone() as connection:
        joined = [world.join(connection, number, **traits) for number, (traits, _) in enumerate(drawn, 1)]
        policy = to_all(world, connection, diagnostic="1")
        for device, (_, report) in zip(joined, drawn, strict=True):
            if report is not None:
                current, words = report
                target = check_ins.get(connection, device).target_digest if current else OTHER
                reports(connection, device, *(told(*word) for word in words), target=target)

        effects = [effective_of(connection, world.catalog, TENANT_ID, device) for device in joined]
        counts = policy_counts(connection, world.catalog, TENANT_ID, policy.id)
        listed = policy_devices(connection, world.catalog, TENANT_ID, policy.id, Page())

        assert Counter(effect.policies[0].state for effect in effects) == counts.devices
        assert [effect.policies[0].state for effect in effects] == [each.state for each in listed]
        for setting in (CLOUD, DIAGNOSTIC):
            states = [each.state for effect in effects for each in effect.settings if each.setting == setting]
            assert Counter(states) == counts.settings[setting]


@given(words=st.lists(_WORDS, max_size=5), named=st.sampled_from([TARGET, OTHER, None]))
def test_nothing_succeeded_that_its_report_does_not_say_so_about(
    words: list[tuple[SettingId, SettingState]], named: Digest | None
) -> None:
    report = StatusReport(target=named, settings=tuple(told(*word) for word in words))
    read = said(report, TARGET)
    item = ManifestItem(policy_id=PolicyId(device_id(1)), revision=1, digest=OTHER, length=2)
    for setting in (CLOUD, DIAGNOSTIC):
        about = {state for name, state in words if name == setting}
        if read.state(setting) is SettingState.SUCCEEDED:
            assert named == TARGET
            assert SettingState.SUCCEEDED in about
            assert about <= {SettingState.SUCCEEDED, SettingState.NOT_APPLICABLE}
    if read.policy(item, (CLOUD, DIAGNOSTIC)) is SettingState.SUCCEEDED:
        assert {read.state(CLOUD), read.state(DIAGNOSTIC)} <= {SettingState.SUCCEEDED, SettingState.NOT_APPLICABLE}


def test_what_does_not_apply_to_a_device_needs_no_report(world: World) -> None:
    with world.database.write() as connection:
        foreign = world.join(connection, 1, os_type="Windows")
        older = world.join(connection, 2, catalog_version="2026.10.1")
        to_all(world, connection)

        for device in (foreign, older):
            effect = effective_of(connection, world.catalog, TENANT_ID, device)
            assert [each.state for each in effect.settings] == [SettingState.NOT_APPLICABLE]
            assert [each.state for each in effect.policies] == [SettingState.NOT_APPLICABLE]


def test_parts_of_a_setting_that_does_not_apply_are_no_strays(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        to_all(world, connection)
        part, stray = SettingId("linux_from_the_future"), SettingId("linux_of_nobody")
        reports(
            connection,
            device,
            told(part, SettingState.NOT_APPLICABLE, code="agentTooOld"),
            told(stray, SettingState.SUCCEEDED),
        )

        effect = effective_of(connection, world.catalog, TENANT_ID, device)
        assert [status.setting for status in effect.strays] == [stray]


def test_the_rules_of_the_tenant_explain_what_is_in_effect(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        for cloud in ("true", "false"):
            to_all(world, connection, cloud, cloud=cloud)
        conflict_rules.replace_rules(connection, world.acting, {ConflictFamily.ANTIVIRUS: ConflictRule.NOTHING})

        (effective,) = effective_of(connection, world.catalog, TENANT_ID, device).settings
        assert isinstance(effective.resolution, Conflict)
