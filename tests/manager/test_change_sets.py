"""A change set takes effect as one: every policy once, every device once, or nothing at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.manager.test_targeting import ALL, include, policies_of
from tests.support.manager_world import World, a_draft
from tests.support.samples import NOON, TENANT_ID, group_id

from shieldwall.catalog.findings import InvalidPolicyError
from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.server.manager.assignments import UnknownGroupError, assign, assignments_of
from shieldwall.server.manager.change_plans import (
    Change,
    ChangeSet,
    Create,
    Delete,
    InvalidChangeSetError,
    Key,
    Update,
    plan,
)
from shieldwall.server.manager.change_sets import ChangeSets, Deleted, Outcome
from shieldwall.server.manager.policies import PolicyDraft, PreconditionFailedError, get_policy, history, list_policies
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.records import Page, Policy
from shieldwall.server.storage.tables.schema import check_ins as check_ins_table


def apply(world: World, connection: Connection, *changes: Change, deletes: int = 0, **more: Any) -> tuple[Outcome, ...]:
    change_set = ChangeSet(changes=changes, expected_deletes=deletes, **more)
    return ChangeSets(catalog=world.catalog, signatures=world.signer).apply(connection, world.acting, change_set)


def saved(outcome: Outcome) -> Policy:
    assert isinstance(outcome, Policy)
    return outcome


def renamed(name: str) -> Any:
    return lambda draft: replace(draft, name=name)


def described(text: str) -> Any:
    return lambda draft: replace(draft, description=text)


def test_policies_are_created_changed_assigned_and_deleted_in_one_go(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        group = world.group(connection, 1, device)
        going, staying = (world.policies.create(connection, world.acting, a_draft(name)) for name in ("Old", "Kept"))
        assign(connection, world.acting, going.id, [ALL])
        made, changed, gone = apply(
            world,
            connection,
            Create(draft=a_draft("New"), assigned=[include(group)]),
            Update(policy=staying.id, draft=a_draft("Kept", cloud="false"), assigned=[ALL], expected_revision=1),
            Delete(policy_id=going.id, expected_revision=1),
            deletes=1,
            reason="Audit 7",
        )

        assert gone == Deleted(policy_id=going.id, name="Old")
        assert (saved(made).name, saved(changed).revision) == ("New", 2)
        assert policies_of(connection, device) == {saved(made).id, staying.id}
        for policy in (saved(made), saved(changed)):
            assert get_policy(connection, TENANT_ID, policy.id) == policy
            assert history(connection, TENANT_ID, policy.id, Page())[0].reason == "Audit 7"


def test_edits_of_one_policy_fold_into_one_revision(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft("Before"))
        outcomes = apply(
            world,
            connection,
            Update(policy=policy.id, draft=renamed("After")),
            Update(policy=policy.id, draft=described("Twice")),
            Update(policy=policy.id, assigned=[ALL]),
        )
        found = get_policy(connection, TENANT_ID, policy.id)

        assert outcomes == (found, found, found)
        assert (found.revision, found.name, found.description) == (2, "After", "Twice")
        assert len(assignments_of(connection, TENANT_ID, policy.id)) == 1


def test_a_policy_made_in_a_set_is_changed_and_assigned_by_its_key_there(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        made, same = apply(
            world,
            connection,
            Create(draft=a_draft("First"), key=Key("servers")),
            Update(policy=Key("servers"), draft=renamed("Second"), assigned=[ALL]),
        )

        assert made == same
        assert (saved(made).name, saved(made).revision) == ("Second", 1)
        assert policies_of(connection, device) == {saved(made).id}


def test_what_a_set_says_and_is_so_already_leaves_no_revision_and_no_event_of_the_policy(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
        before = len(audit.list_events(connection, TENANT_ID, Page()))
        apply(world, connection, Update(policy=policy.id, draft=a_draft(), assigned=[ALL]))

        assert get_policy(connection, TENANT_ID, policy.id) == policy
        assert len(audit.list_events(connection, TENANT_ID, Page())) == before + 1


@pytest.mark.parametrize(
    ("changes", "deletes", "cause"),
    [
        ((), 0, "1 to 500"),
        ((Update(policy=Key("x")),), 0, r"changes\[0\]: .*'x'"),
        ((Create(draft=a_draft(), key=Key("x")), Create(draft=a_draft(), key=Key("x"))), 0, r"changes\[1\]"),
        ((Create(draft=a_draft()),), 1, "expected were 1"),
        (("delete",), 0, "1 policies would be deleted, expected were 0"),
        (("delete", "delete"), 2, r"changes\[1\]: .* deleted twice"),
        (("update", "delete"), 1, r"changes\[1\]: .* changed and deleted"),
        (("delete", "update"), 1, r"changes\[1\]: .* deleted and changed"),
        ((Create(draft=a_draft()),) * 501, 0, "not 501"),
    ],
)
def test_a_set_that_contradicts_itself_is_refused(
    world: World, changes: tuple[Change | str, ...], deletes: int, cause: str
) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        named: dict[str, Change] = {"delete": Delete(policy_id=policy.id), "update": Update(policy=policy.id)}
        meant = [named[each] if isinstance(each, str) else each for each in changes]
        with pytest.raises(InvalidChangeSetError, match=cause):
            apply(world, connection, *meant, deletes=deletes)

        assert list_policies(connection, TENANT_ID, Page()) == (policy,)


def test_one_change_that_fails_undoes_the_whole_set_and_is_named(world: World) -> None:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
        standing = check_ins.get(connection, device)
    create, delete = Create(draft=a_draft("New"), assigned=[ALL]), Delete(policy_id=policy.id)
    for failing, error, cause in (
        (Create(draft=a_draft(cloud="perhaps")), InvalidPolicyError, r"changes\[2\]\.settings\[0\]"),
        (Create(draft=a_draft(), assigned=[include(group_id(9))]), UnknownGroupError, r"changes\[2\]: .*no group"),
        (Update(policy=PolicyId(group_id(9))), NotFoundError, r"changes\[2\]: .*no policy"),
    ):
        with pytest.raises(error, match=cause), world.database.write() as connection:
            apply(world, connection, create, delete, failing, deletes=1)
        with world.database.read() as connection:
            assert list_policies(connection, TENANT_ID, Page()) == (policy,)
            assert check_ins.get(connection, device) == standing


def test_a_policy_that_somebody_changed_meanwhile_stops_the_set(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        world.policies.update(connection, world.acting, policy.id, a_draft(cloud="false"))
        with pytest.raises(PreconditionFailedError, match=r"changes\[0\]") as refused:
            apply(world, connection, Update(policy=policy.id, draft=a_draft(), expected_revision=1))
        with pytest.raises(PreconditionFailedError):
            apply(world, connection, Delete(policy_id=policy.id, expected_revision=1), deletes=1)

        assert refused.value.cause == str(refused.value)


def test_the_policy_of_another_tenant_is_not_there_for_a_set(world: World) -> None:
    with world.database.write() as connection:
        policy = world.policies.create(connection, world.acting, a_draft())
        stranger = TenantId("00000000-0000-4000-8000-00000000000b")
        with pytest.raises(NotFoundError):
            plan(connection, stranger, ChangeSet(changes=(Delete(policy_id=policy.id),), expected_deletes=1))


_DRAFTS = st.builds(a_draft, st.sampled_from(["A", "B"]), cloud=st.sampled_from(["true", "false"]))
_STEPS = st.lists(st.tuples(st.integers(0, 2), _DRAFTS, st.booleans()), min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(steps=_STEPS)
def test_a_set_leaves_what_its_changes_one_by_one_would_with_one_revision_each(
    world: World, steps: list[tuple[int, PolicyDraft, bool]]
) -> None:
    with world.undone() as connection:
        devices = [world.join(connection, number) for number in (1, 2)]
        group = world.group(connection, 1, devices[0])
        made = [world.policies.create(connection, world.acting, a_draft()) for _ in range(3)]
        changes = tuple(
            Update(policy=made[index].id, draft=draft, assigned=[ALL] if everybody else [include(group)])
            for index, draft, everybody in steps
        )
        apply(world, connection, *changes)
        last = {index: (draft, everybody) for index, draft, everybody in steps}
        for index, (draft, everybody) in last.items():
            found = get_policy(connection, TENANT_ID, made[index].id)
            assert (found.name, found.settings) == (draft.name, draft.settings)
            assert found.revision <= 2
            for device in devices:
                assert (found.id in policies_of(connection, device)) == (everybody or device == devices[0])
        incremental = [check_ins.get(connection, device).target_digest for device in devices]
        connection.execute(check_ins_table.update().values(target_digest=None))
        retarget(connection, devices, NOON)

        assert incremental == [check_ins.get(connection, device).target_digest for device in devices]
