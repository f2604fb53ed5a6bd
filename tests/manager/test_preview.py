"""A preview says what then happens: over the real database, groups, filters, publishing and targeting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.support import policies as p
from tests.support.manager_world import CLOUD, DIAGNOSTIC, World, a_draft, chosen
from tests.support.outcomes import Aspects, aspects
from tests.support.samples import TENANT_ID

from shieldwall.catalog.findings import InvalidPolicyError
from shieldwall.catalog.model import Merge
from shieldwall.catalog.validate import ServerEndpoints
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import DeviceId, GroupId, PolicyId
from shieldwall.policy.applicability import traits_of
from shieldwall.policy.compare import Comparison
from shieldwall.policy.device_sets import places
from shieldwall.policy.families import chosen_rule
from shieldwall.policy.outcomes import Conflict
from shieldwall.policy.partition import UNSET
from shieldwall.policy.resolve import resolve
from shieldwall.server.directory import assigned_members
from shieldwall.server.directory import groups as directory_groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.manager import conflict_rules, filters
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.change_plans import Change, ChangeSet, Create, Delete, Update
from shieldwall.server.manager.change_sets import ChangeSets
from shieldwall.server.manager.drafts import PolicyDraft
from shieldwall.server.manager.filters import FilterDraft
from shieldwall.server.manager.preview import GroupProposal, Preview, Proposal, preview
from shieldwall.server.manager.publishing import PolicyTooLargeError
from shieldwall.server.manager.revisions import document_of
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.policies import revisions
from shieldwall.server.storage.records import AssignmentKind, FilterKind

TO_SERVER = (
    p.choice(f"{p.RULES}_item_protocol", "_tcp"),
    p.texts(f"{p.RULES}_item_remoteports", "8443"),
)
ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)
LAW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def include(group: GroupId) -> Assigned:
    return Assigned(kind=AssignmentKind.INCLUDE, group_id=group)


def held(connection: Connection, world: World, device: DeviceId) -> tuple[Any, Mapping[Any, Any]]:
    """What a device is sent, and what it makes of it."""
    digest = check_ins.get(connection, device).target_digest
    assert digest is not None
    target = targets.get(connection, TENANT_ID, digest)
    found = revisions.find_many(connection, [item.digest for item in target.items])
    record = devices.get(connection, device)
    traits = traits_of(record.os_type, record.catalog_version)
    documents = [document_of(revision) for revision in found.values()]
    return digest, resolve(world.catalog, documents, target.conflict_rules, traits).settings


def happened(
    world: World, before: Mapping[DeviceId, tuple[Any, Mapping[Any, Any]]], after: Mapping[DeviceId, Any]
) -> tuple[dict[Any, set[DeviceId]], set[DeviceId]]:
    found: defaultdict[Any, set[DeviceId]] = defaultdict(set)
    for device, (_, was) in before.items():
        now = after[device][1]
        united = {setting: world.catalog.definition(setting).merge is Merge.UNION for setting in {*was, *now}}
        former: Aspects = aspects(world.catalog, was, united)
        later = aspects(world.catalog, now, united)
        for key in former.keys() | later.keys():
            if former.get(key, UNSET) != later.get(key, UNSET):
                found[*key, former.get(key, UNSET), later.get(key, UNSET)].add(device)
    return dict(found), {device for device in before if before[device][0] != after[device][0]}


def told(shown: Preview) -> dict[Any, set[DeviceId]]:
    """What the preview says, without the moment at which a draft would be saved."""
    return {
        (change.setting, change.subject, change.before, change.after): {
            shown.ids[place] for place in places(change.devices)
        }
        for change in shown.comparison.changes
    }


def draft(name: str, cloud: str | None, diagnostic: str | None, paths: tuple[str, ...]) -> PolicyDraft:
    return PolicyDraft(
        name=name,
        platforms="linux",
        technologies="microsoftSense",
        template_id=p.ANTIVIRUS,
        settings=(
            *((chosen(CLOUD, cloud),) if cloud else ()),
            *((chosen(DIAGNOSTIC, diagnostic),) if diagnostic else ()),
            *((p.items(p.EXCLUSIONS, *map(p.excluded_path, paths)),) if paths else ()),
        ),
    )


DRAFTS = st.builds(
    draft,
    st.sampled_from(["One", "Two"]),
    st.none() | st.sampled_from(["true", "false"]),
    st.none() | st.sampled_from(["0", "1"]),
    st.sets(st.sampled_from(["/srv/a", "/srv/b"])).map(sorted).map(tuple),
)
WHOM = st.sets(st.integers(0, 5), max_size=3)


@LAW
@given(data=st.data())
def test_a_preview_equals_what_then_happens(world: World, data: st.DataObject) -> None:
    with world.undone() as connection:
        joined = [
            world.join(connection, 1),
            world.join(connection, 2, catalog_version="2025.1.1"),
            world.join(connection, 3, os_type="Windows"),
            world.join(connection, 4),
        ]
        own = [world.group(connection, number, *data.draw(st.sets(st.sampled_from(joined)))) for number in (1, 2)]
        servers = FilterDraft(
            display_name="Servers", platform="linux", rule='(device.displayName -in ["device-1", "device-2"])'
        )
        narrowed = filters.create_filter(connection, world.acting, servers).id
        whom = [
            ALL,
            replace(ALL, filter_id=narrowed, filter_kind=FilterKind.INCLUDE),
            include(own[0]),
            replace(include(own[0]), filter_id=narrowed, filter_kind=FilterKind.EXCLUDE),
            include(own[1]),
            Assigned(kind=AssignmentKind.EXCLUDE, group_id=own[1]),
        ]

        def assigned() -> list[Assigned]:
            chosen_ones = [whom[index] for index in sorted(data.draw(WHOM))]
            return list({each.group_id: each for each in chosen_ones}.values())

        there: list[PolicyId] = []
        for _ in range(3):
            policy = world.policies.create(connection, world.acting, data.draw(DRAFTS))
            assign(connection, world.acting, policy.id, assigned())
            there.append(policy.id)
            world.clock.advance(minutes=1)
        changes: list[Change] = []
        for policy_id in there:
            match data.draw(st.sampled_from(["keep", "edit", "assign", "both", "delete"])):
                case "edit":
                    changes.append(Update(policy=policy_id, draft=data.draw(DRAFTS)))
                case "assign":
                    changes.append(Update(policy=policy_id, assigned=assigned()))
                case "both":
                    changes.append(Update(policy=policy_id, draft=data.draw(DRAFTS), assigned=assigned()))
                case "delete":
                    changes.append(Delete(policy_id=policy_id))
                case _:
                    pass
        changes.append(Create(draft=data.draw(DRAFTS), assigned=assigned()))
        deletes = sum(isinstance(change, Delete) for change in changes)
        change_set = ChangeSet(changes=tuple(changes), expected_deletes=deletes)
        before = {device: held(connection, world, device) for device in joined}

        shown = preview(connection, world.catalog, world.acting, Proposal(change_set=change_set))
        ChangeSets(catalog=world.catalog, signatures=world.signer).apply(connection, world.acting, change_set)

        after = {device: held(connection, world, device) for device in joined}
        found, targeted = happened(world, before, after)
        assert told(shown) == found
        assert {shown.ids[place] for place in places(shown.comparison.targeted)} == targeted


def test_a_preview_writes_nothing(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
    delete = Proposal(change_set=ChangeSet(changes=(Delete(policy_id=policy.id),), expected_deletes=1))
    with world.database.read() as connection:
        before = held(connection, world, device)
        shown = preview(connection, world.catalog, world.acting, delete)

        assert shown.comparison.changes
        assert held(connection, world, device) == before


def test_what_could_not_be_saved_has_no_preview(world: World) -> None:
    create = ChangeSet(changes=(Create(draft=a_draft(cloud="perhaps")),))
    with world.database.read() as connection, pytest.raises(InvalidPolicyError, match=r"changes\[0\]"):
        preview(connection, world.catalog, world.acting, Proposal(change_set=create))


def test_who_gets_a_policy_can_be_previewed_though_it_could_not_be_saved_today(world: World) -> None:
    blocking = p.firewall_rule("Updates", "block", p.choice(f"{p.RULES}_item_direction", "_out"), *TO_SERVER)
    rules = PolicyDraft(
        name="Rules",
        platforms="linux",
        technologies="microsoftSense",
        template_id=p.FIREWALL_RULES,
        settings=(p.items(p.RULES, blocking),),
    )
    server = ServerEndpoints.of(["https://shieldwall.contoso.example:8443"])
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, rules)
        change_set = ChangeSet(changes=(Update(policy=policy.id, assigned=[ALL]),))

        shown = preview(connection, world.catalog, world.acting, Proposal(change_set=change_set), server=server)
        ChangeSets(catalog=world.catalog, signatures=world.signer, server=server).apply(
            connection, world.acting, change_set
        )

        assert {change.setting for change in shown.comparison.changes} == set(held(connection, world, device)[1])


def test_policies_changed_together_were_modified_in_one_moment(world: World) -> None:
    class Ticking:
        def now(self) -> datetime:
            world.clock.advance(seconds=1)
            return world.clock.now()

    creates = tuple(
        Create(draft=replace(a_draft(str(threads)), settings=(p.number(p.THREADS, threads),)), assigned=[ALL])
        for threads in (1, 2)
    )
    acting, change_set = replace(world.acting, clock=Ticking()), ChangeSet(changes=creates)
    with world.database.write() as connection:
        device = world.join(connection, 1)

        (clash,) = preview(connection, world.catalog, acting, Proposal(change_set=change_set)).comparison.conflicts_made
        ChangeSets(catalog=world.catalog, signatures=world.signer).apply(connection, acting, change_set)

        assert clash.setting == p.THREADS
        assert isinstance(held(connection, world, device)[1][p.THREADS], Conflict)


def test_a_policy_that_is_too_large_has_no_preview(world: World) -> None:
    paths = tuple(f"/srv/{number}/{'a' * 250}/{'b' * 250}" for number in range(600))
    create = ChangeSet(changes=(Create(draft=draft("Large", None, None, paths)),))
    with world.database.read() as connection, pytest.raises(PolicyTooLargeError, match=r"changes\[0\]"):
        preview(connection, world.catalog, world.acting, Proposal(change_set=create))


def test_a_group_that_would_be_decided_by_another_rule(world: World) -> None:
    with world.database.write() as connection:
        leaving = world.join(connection, 1, model="Old")
        coming = world.join(connection, 2, model="New")
        rule = '(device.deviceModel -eq "{}")'
        named = GroupDraft(display_name="Models", mail_nickname="models", membership_rule=rule.format("Old"))
        group = directory_groups.create_group(connection, world.acting, named)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [include(group.id)])

        proposal = Proposal(groups=(GroupProposal(group_id=group.id, rule=rule.format("New")),))
        shown = preview(connection, world.catalog, world.acting, proposal)

        assert {
            (change.before.kind, change.after.kind): set(shown.examples(change.devices))
            for change in shown.comparison.changes
        } == {
            ("value", "unset"): {devices.get(connection, leaving).display_name},
            ("unset", "value"): {devices.get(connection, coming).display_name},
        }


def test_a_group_that_asks_for_one_that_would_change(world: World) -> None:
    with world.database.write() as connection:
        leaving, coming = (world.join(connection, number) for number in (1, 2))
        chosen_group = directory_groups.create_group(
            connection, world.acting, GroupDraft(display_name="Chosen", mail_nickname="chosen")
        )
        assigned_members.add_member(connection, world.acting, chosen_group.id, leaving)
        rule = f"device.memberOf -any (group.objectId -in ['{chosen_group.id}'])"
        draft_asking = GroupDraft(display_name="Asking", mail_nickname="asking", membership_rule=rule)
        asking = directory_groups.create_group(connection, world.acting, draft_asking)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [include(asking.id)])

        proposed = GroupProposal(group_id=chosen_group.id, add=(coming,), remove=(leaving,))
        shown = preview(connection, world.catalog, world.acting, Proposal(groups=(proposed,)))

        names = {device: devices.get(connection, device).display_name for device in (leaving, coming)}
        assert {
            (change.before.kind, change.after.kind): set(shown.examples(change.devices))
            for change in shown.comparison.changes
        } == {("value", "unset"): {names[leaving]}, ("unset", "value"): {names[coming]}}


def test_rules_of_conflict_that_would_be_chosen_otherwise(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        for cloud in ("true", "false"):
            policy = world.policies.create(connection, world.acting, a_draft(cloud, cloud=cloud))
            assign(connection, world.acting, policy.id, [ALL])
        rules = {ConflictFamily.ANTIVIRUS: ConflictRule.NOTHING}

        shown = preview(connection, world.catalog, world.acting, Proposal(conflict_rules=rules))
        (clash,) = shown.comparison.conflicts_made
        conflict_rules.replace_rules(connection, world.acting, rules)

        assert (clash.setting, sorted(shown.policy_names[policy] for policy in clash.policies)) == (
            CLOUD,
            ["false", "true"],
        )
        assert chosen_rule(world.catalog, CLOUD, targets_of(connection, device)) is ConflictRule.NOTHING


def targets_of(connection: Connection, device: DeviceId) -> Mapping[ConflictFamily, ConflictRule]:
    digest = check_ins.get(connection, device).target_digest
    assert digest is not None
    return targets.get(connection, TENANT_ID, digest).conflict_rules


def test_nothing_proposed_changes_nothing(world: World) -> None:
    with world.database.write() as connection:
        world.join(connection, 1)
        shown = preview(connection, world.catalog, world.acting, Proposal())

    assert shown.comparison == Comparison(targeted=0, changes=(), conflicts_made=(), conflicts_solved=(), lapses=())
