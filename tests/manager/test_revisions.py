"""Every change of a policy says who, when and why, and every earlier state can come back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.manager_world import ACTOR, World, a_draft
from tests.support.samples import NOON, TENANT_ID

from shieldwall.catalog.findings import InvalidPolicyError
from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.server.manager.assignments import Assigned, assign, assignments_of
from shieldwall.server.manager.policies import PreconditionFailedError, draft_of, get_policy
from shieldwall.server.manager.revisions import compare_revisions, get_revision, history
from shieldwall.server.storage.access import scope_tags
from shieldwall.server.storage.access_records import ScopeTag
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import AssignmentKind, Page

ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)


def test_a_revision_says_who_made_it_when_and_why(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft(), reason="New servers")
        world.clock.advance(minutes=1)
        world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"), reason="Audit 7 ✓")
        newest, first = history(connection, TENANT_ID, policy.id, Page())
        events = audit.list_events(connection, TENANT_ID, Page())

    assert (first.reason, newest.reason) == ("New servers", "Audit 7 ✓")
    assert (newest.created_by, newest.created_at) == (ACTOR, world.clock.now())
    assert [strict_json.decode_any(event.details.encode())["reason"] for event in events] == [
        "Audit 7 ✓",
        "New servers",
    ]


@pytest.mark.parametrize("reason", ["r" * 1_001, "bell \x07"])
def test_a_reason_that_cannot_be_is_a_finding_and_nothing_changes(world: World, reason: str) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        with pytest.raises(InvalidPolicyError) as refused:
            world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"), reason=reason)
        assert [finding.path for finding in refused.value.findings] == ["reason"]
        with pytest.raises(InvalidPolicyError):
            world.policies.delete(connection, world.acting, policy.id, reason=reason)

        assert get_policy(connection, TENANT_ID, policy.id) == policy


def test_a_rollback_is_a_new_revision_with_the_old_content(world: World) -> None:
    first = replace(a_draft("First", diagnostic="1"), description="as it began", priority=3)
    oslo = ScopeTag(tenant_id=TENANT_ID, id="7", display_name="Oslo", description="", created_at=NOON)
    with world.database.write() as connection:
        device = world.join(connection, 1)
        scope_tags.add(connection, oslo)
        policy = world.policies.create(connection, world.acting, first)
        assign(connection, world.acting, policy.id, [ALL])
        second = replace(a_draft("Second", cloud="false"), priority=7, role_scope_tag_ids=("7",))
        world.policies.update(connection, world.acting, policy.id, second)
        back = world.policies.rollback(connection, world.acting, policy.id, 1)

        assert back.revision == 3
        assert draft_of(back) == replace(first, role_scope_tag_ids=("7",))
        assert history(connection, TENANT_ID, policy.id, Page())[0].reason == "Rolled back to revision 1."
        assert len(assignments_of(connection, TENANT_ID, policy.id)) == 1
        target = check_ins.get(connection, device).target_digest
        assert target is not None
        assert [item.digest for item in targets.get(connection, TENANT_ID, target).items] == [back.digest]


def test_a_deleted_policy_keeps_its_history_and_comes_back_assigned_to_nobody(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft("First"))
        world.policies.update(connection, world.acting, policy.id, a_draft("Second", cloud="false"))
        assign(connection, world.acting, policy.id, [ALL])
        world.policies.delete(connection, world.acting, policy.id)
        assert [each.revision for each in history(connection, TENANT_ID, policy.id, Page())] == [2, 1]

        back = world.policies.rollback(connection, world.acting, policy.id, 1)

        assert (back.id, back.name, back.revision) == (policy.id, "First", 3)
        assert history(connection, TENANT_ID, policy.id, Page())[0].reason == "Restored revision 1."
        assert assignments_of(connection, TENANT_ID, policy.id) == ()
        target = check_ins.get(connection, device).target_digest
        assert target is not None
        assert targets.get(connection, TENANT_ID, target).items == ()
        assert audit.list_events(connection, TENANT_ID, Page())[0].activity == "policy.restored"


def test_nobody_reads_or_restores_what_another_tenant_deleted(world: World) -> None:
    other = replace(world.acting, tenant_id=TenantId("00000000-0000-4000-8000-00000000000b"))
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        world.policies.delete(connection, world.acting, policy.id)

        with pytest.raises(NotFoundError):
            history(connection, other.tenant_id, policy.id, Page())
        with pytest.raises(NotFoundError):
            world.policies.rollback(connection, other, policy.id, 1)
        with pytest.raises(NotFoundError):
            world.policies.rollback(connection, world.acting, policy.id, 1, expected_revision=1)


def test_a_rollback_takes_away_a_priority_that_came_later(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        world.policies.reorder(connection, world.acting, policy.id, 1)

        assert world.policies.rollback(connection, world.acting, policy.id, 1).priority is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(edits=st.lists(st.tuples(st.sampled_from(["true", "false"]), st.sampled_from([None, "0", "1"])), min_size=1))
def test_every_earlier_revision_can_come_back_whole(world: World, edits: list[tuple[str, str | None]]) -> None:
    with world.undone() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        for cloud, diagnostic in edits:
            world.policies.update(connection, world.acting, policy.id, a_draft(cloud=cloud, diagnostic=diagnostic))
        for revision in history(connection, TENANT_ID, policy.id, Page()):
            back = world.policies.rollback(connection, world.acting, policy.id, revision.revision)
            earlier = get_revision(connection, TENANT_ID, policy.id, revision.revision)

            assert back.settings == earlier.document.settings
            assert draft_of(back) == earlier.draft


def test_a_rollback_to_what_never_was_is_refused(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        with pytest.raises(NotFoundError, match="revision 2"):
            world.policies.rollback(connection, world.acting, policy.id, 2)
        with pytest.raises(PreconditionFailedError):
            world.policies.rollback(connection, world.acting, policy.id, 1, expected_revision=2)


def test_two_revisions_are_compared_by_what_their_authors_wrote(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        world.policies.update(connection, world.acting, policy.id, a_draft(diagnostic="1"))
        compared = compare_revisions(connection, TENANT_ID, policy.id, before=1, after=2)

    assert compared.before.draft.settings == a_draft().settings
    assert compared.after.draft.settings == a_draft(diagnostic="1").settings
    assert (compared.before.revision.revision, compared.after.document.revision) == (1, 2)


def test_a_priority_travels_in_the_next_revision_and_goes_with_a_draft_that_has_none(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        ordered = world.policies.reorder(connection, world.acting, policy.id, 5, reason="Before all others")
        assert get_revision(connection, TENANT_ID, policy.id, ordered.revision).document.priority == 5
        assert world.policies.reorder(connection, world.acting, policy.id, 5) == ordered

        edited = world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"))
        assert (edited.revision, edited.priority) == (3, None)


@pytest.mark.parametrize("priority", [0, -1, 501])
def test_what_is_no_priority_is_refused(world: World, priority: int) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        with pytest.raises(InvalidPolicyError) as refused:
            world.policies.reorder(connection, world.acting, policy.id, priority)

    assert [finding.path for finding in refused.value.findings] == ["priority"]


def test_a_copy_has_the_content_and_reaches_nobody(world: World) -> None:
    with world.database.write() as connection:
        draft = replace(a_draft("Original", diagnostic="1"), description="As agreed", priority=3)
        policy = world.policies.create(connection, world.acting, draft)
        assign(connection, world.acting, policy.id, [ALL])
        copy = world.policies.create_copy(connection, world.acting, policy.id, "Copy")
        told = world.policies.create_copy(connection, world.acting, policy.id, "Told", "Otherwise")

        assert copy.id != policy.id
        assert draft_of(copy) == replace(draft, name="Copy", priority=None)
        assert told.description == "Otherwise"
        assert assignments_of(connection, TENANT_ID, copy.id) == ()
        assert history(connection, TENANT_ID, copy.id, Page())[0].reason == "Copied from Original."


def test_a_deletion_refuses_a_policy_that_somebody_changed_meanwhile(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"))
        with pytest.raises(PreconditionFailedError):
            world.policies.delete(connection, world.acting, policy.id, expected_revision=1)

        world.policies.delete(connection, world.acting, policy.id, expected_revision=2, reason="No more servers")
        event = audit.list_events(connection, TENANT_ID, Page(size=1))[0]
        assert event.object_id == policy.id
