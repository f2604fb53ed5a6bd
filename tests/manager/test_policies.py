from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.manager_world import ACTOR, ANTIVIRUS, CLOUD, DIAGNOSTIC, World, a_draft, chosen
from tests.support.policies import FIREWALL_RULES, RULES, choice, firewall_rule, items, texts
from tests.support.samples import NOON, TENANT_ID

from shieldwall.catalog.validate import InvalidPolicyError, ServerEndpoints
from shieldwall.contract import strict_json
from shieldwall.contract.ids import PolicyId, SettingId, TemplateId, TenantId
from shieldwall.contract.messages import Envelope, ManifestItem
from shieldwall.contract.settings import (
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupValue,
    SimpleSetting,
    SimpleValue,
)
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import (
    PolicyTooLargeError,
    PreconditionFailedError,
    document_of,
    get_policy,
    history,
    list_policies,
)
from shieldwall.server.storage.access import scope_tags
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.policies import policies as stored
from shieldwall.server.storage.policies import revisions
from shieldwall.server.storage.records import AssignmentKind, Page, PolicyRevision
from shieldwall.trust.verification import open_policy

EXCLUSIONS = TemplateId("8a17a1e5-3df4-4e07-9d20-3878267a79b8_1")
EXCLUDED = SettingId("linux_mdatp_managed_antivirusengine_exclusions")


def an_exclusion(path: str) -> GroupValue:
    place = SimpleSetting(definition=SettingId(f"{EXCLUDED}_item_path"), value=SimpleValue(kind="string", value=path))
    directory = chosen(SettingId(f"{EXCLUDED}_item_isdirectory"), "true")
    kind = ChoiceValue(value=f"{EXCLUDED}_item_$type_0", children=(directory, place))
    return GroupValue(children=(ChoiceSetting(definition=SettingId(f"{EXCLUDED}_item_$type"), value=kind),))


def opened(world: World, revision: PolicyRevision) -> str:
    item = ManifestItem(
        policy_id=revision.policy_id, revision=revision.revision, digest=revision.digest, length=revision.length
    )
    envelope = strict_json.decode(revision.envelope, Envelope)
    return open_policy(envelope, world.signer.trust_root(), item, TENANT_ID).name


def test_a_new_policy_is_a_first_revision_that_a_device_believes(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft("Servers"))
        revision = revisions.get(connection, policy.id, 1)

    assert (policy.revision, policy.digest) == (1, revision.digest)
    assert opened(world, revision) == "Servers"
    assert revision.created_by == ACTOR


def test_a_changed_policy_is_the_next_revision_and_the_one_before_stays(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft(cloud="true"))
        world.clock.advance(minutes=1)
        changed = world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"))
        revised = history(connection, TENANT_ID, policy.id, Page())

    assert (changed.revision, changed.modified_at) == (2, world.clock.now())
    assert [revision.digest for revision in revised] == [changed.digest, policy.digest]


def test_saving_without_a_change_makes_no_revision_and_leaves_no_trace(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        world.clock.advance(minutes=1)

        assert world.policies.update(connection, world.acting, policy.id, a_draft()) == policy
        assert len(history(connection, TENANT_ID, policy.id, Page())) == 1
        assert len(audit.list_events(connection, TENANT_ID, Page())) == 1


def test_what_a_device_would_not_notice_makes_no_revision(world: World) -> None:
    oslo = ScopeTag(tenant_id=TENANT_ID, id="7", display_name="Oslo", description="", created_at=NOON)
    with world.database.write() as connection:
        scope_tags.add(connection, oslo)
        policy = world.policies.create(connection, world.acting, a_draft())
        described = replace(a_draft(), description="For the servers in Oslo", role_scope_tag_ids=("0", "7"))
        world.policies.update(connection, world.acting, policy.id, described)
        found = get_policy(connection, TENANT_ID, policy.id)

    assert (found.revision, found.digest) == (1, policy.digest)
    assert (found.description, found.role_scope_tag_ids) == ("For the servers in Oslo", ("0", "7"))


def test_an_invalid_policy_is_refused_with_every_finding_and_keeps_nothing(world: World) -> None:
    unknown = ChoiceSetting(definition=SettingId("linux_no_such_setting"), value=ChoiceValue(value="x"))
    draft = replace(a_draft(), settings=(unknown, chosen(CLOUD, "perhaps")))

    with world.database.write() as connection:
        with pytest.raises(InvalidPolicyError) as refused:
            world.policies.create(connection, world.acting, draft)

        assert len(refused.value.findings) == 2
        assert stored.count(connection, TENANT_ID) == 0


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"description": "d" * 1_001}, "description"),
        ({"template_id": "no-such_1"}, "templateId"),
    ],
)
def test_a_frame_that_cannot_be_is_a_finding(world: World, change: dict[str, Any], path: str) -> None:
    with world.database.write() as connection, pytest.raises(InvalidPolicyError) as refused:
        world.policies.create(connection, world.acting, replace(a_draft(), **change))

    assert [finding.path for finding in refused.value.findings] == [path]


def test_a_policy_that_no_device_would_take_is_refused(world: World) -> None:
    excluded = tuple(an_exclusion(f"/srv/{number:06}" + 4 * f"/{'x' * 200}") for number in range(280))
    draft = replace(
        a_draft(),
        template_id=EXCLUSIONS,
        settings=(GroupCollectionSetting(definition=EXCLUDED, values=excluded),),
    )
    with world.database.write() as connection, pytest.raises(PolicyTooLargeError):
        world.policies.create(connection, world.acting, draft)


def test_an_invalid_change_leaves_the_policy_as_it_was(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        with pytest.raises(InvalidPolicyError):
            world.policies.update(connection, world.acting, policy.id, a_draft(cloud="perhaps"))

        assert get_policy(connection, TENANT_ID, policy.id) == policy


def test_of_two_administrators_who_edit_at_once_the_second_is_told(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"), expected_revision=1)

        with pytest.raises(PreconditionFailedError):
            world.policies.update(connection, world.acting, policy.id, a_draft(diagnostic="0"), expected_revision=1)

        assert get_policy(connection, TENANT_ID, policy.id).revision == 2


def test_a_save_that_was_undone_does_not_block_the_next_one(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
    with world.undone() as connection:
        world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"))
    with world.database.write() as connection:
        saved = world.policies.update(connection, world.acting, policy.id, a_draft(diagnostic="1"))
        revision = revisions.get(connection, policy.id, saved.revision)

    assert saved.revision == 3
    assert opened(world, revision) == saved.name


def test_a_deleted_policy_leaves_its_devices_and_its_history(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
        assert targets.get(
            connection, TENANT_ID, check_ins.get(connection, device).target_digest or policy.digest
        ).items

        world.policies.delete(connection, world.acting, policy.id)

        target = check_ins.get(connection, device).target_digest
        assert target is not None
        assert targets.get(connection, TENANT_ID, target).items == ()
        assert revisions.get(connection, policy.id, 1).digest == policy.digest
        with pytest.raises(NotFoundError):
            get_policy(connection, TENANT_ID, policy.id)
        with pytest.raises(NotFoundError):
            world.policies.delete(connection, world.acting, policy.id)


def test_every_act_is_in_the_audit_trail(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        world.clock.advance(seconds=1)
        world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"))
        world.clock.advance(seconds=1)
        world.policies.delete(connection, world.acting, policy.id)
        events = audit.list_events(connection, TENANT_ID, Page())

    assert [(event.activity, event.actor, event.object_id) for event in events] == [
        ("policy.deleted", ACTOR, policy.id),
        ("policy.changed", ACTOR, policy.id),
        ("policy.created", ACTOR, policy.id),
    ]


def test_the_policy_of_another_tenant_is_not_there(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        stranger = replace(world.acting, tenant_id=TenantId("00000000-0000-4000-8000-00000000000b"))
        with pytest.raises(NotFoundError):
            get_policy(connection, stranger.tenant_id, policy.id)
        with pytest.raises(NotFoundError):
            world.policies.update(connection, stranger, policy.id, a_draft())
        with pytest.raises(NotFoundError):
            world.policies.delete(connection, stranger, policy.id)

        assert list_policies(connection, stranger.tenant_id, Page()) == ()


def test_policies_are_listed_page_by_page(world: World) -> None:
    with world.database.write() as connection:
        made = [world.policies.create(connection, world.acting, a_draft(f"Policy {number}")).id for number in range(5)]
        seen: list[PolicyId] = []
        page = Page(size=2)
        while found := list_policies(connection, TENANT_ID, page):
            seen += [policy.id for policy in found]
            page = Page(size=2, after=seen[-1])

    assert seen == sorted(made)


def test_a_policy_comes_back_as_it_was_saved(world: World) -> None:
    draft = replace(a_draft("Ünïcode ✓", diagnostic="1"), description="line\nline")
    with world.database.write() as connection:
        made = world.policies.create(connection, world.acting, draft)
    with world.database.read() as connection:
        found = get_policy(connection, TENANT_ID, made.id)

    assert found == made
    assert found.template_id == ANTIVIRUS
    assert [setting.definition for setting in found.settings] == [CLOUD, DIAGNOSTIC]


def test_no_rule_may_cut_devices_off_from_the_server_they_are_known_to_reach(world: World) -> None:
    ports = texts(f"{RULES}_item_remoteports", "8443")
    rule = firewall_rule(
        "all", "block", choice(f"{RULES}_item_direction", "_out"), choice(f"{RULES}_item_protocol", "_tcp"), ports
    )
    draft = replace(a_draft(), template_id=FIREWALL_RULES, settings=(items(RULES, rule),))
    server = ServerEndpoints.of(["https://shieldwall.example:8443"])
    with world.database.write() as connection:
        world.policies.create(connection, world.acting, draft)
        with pytest.raises(InvalidPolicyError) as refused:
            replace(world.policies, server=server).create(connection, world.acting, draft)

    assert [finding.code for finding in refused.value.findings] == ["blocksServer"]


def test_policies_saved_within_one_second_are_told_apart(world: World) -> None:
    with world.database.write() as connection:
        first = world.policies.create(connection, world.acting, a_draft("First"))
        world.clock.advance(milliseconds=5)
        second = world.policies.create(connection, world.acting, a_draft("Second"))
        moments = [document_of(revisions.get(connection, policy.id, 1)).modified_at for policy in (first, second)]

    assert moments == ["2026-11-23T12:00:00.000Z", "2026-11-23T12:00:00.005Z"]
