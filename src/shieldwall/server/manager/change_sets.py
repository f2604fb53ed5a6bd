"""Change sets: several changes of policies that take effect together, or not at all.

However often a set touches a policy, the policy gets at most one new revision, and devices are retargeted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import ServerEndpoints
from shieldwall.contract.ids import PolicyId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.assignments import Assigned, assignment, put_assignments
from shieldwall.server.manager.change_plans import ChangeSet, Planned, at, plan
from shieldwall.server.manager.reach import Reach
from shieldwall.server.manager.saving import Saving
from shieldwall.server.manager.signing import Signatures, Wants
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.policies import assignments
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.records import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A policy that a change set deleted."""

    policy_id: PolicyId
    name: str


Outcome: TypeAlias = Policy | Deleted
"""What became of the policy that a change is about, once the whole set is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSets:
    """Applies change sets inside the transaction of the caller, who lets an error undo all of it."""

    catalog: Catalog
    signatures: Signatures
    server: ServerEndpoints | None = None

    def apply(self, connection: Connection, acting: Acting, change_set: ChangeSet) -> tuple[Outcome, ...]:
        """Make all changes of a set; return what became of the policy of each, in the order of the changes.

        Raises:
            ShieldwallError: As its single changes would raise it; the cause, or the path of each finding, says by
                ``changes[n]`` which one it was.
        """
        targets.lock(connection)
        acting = acting.at_once()  # no policy of the set was modified before another
        planned = plan(connection, acting.tenant_id, change_set)
        applying = _Applying(
            connection=connection,
            acting=acting,
            saving=Saving(catalog=self.catalog, signatures=self.signatures, server=self.server),
            reason=change_set.reason,
            reach=Reach(connection, acting),
            new_ids={id(each): PolicyId(acting.new_id()) for each in planned.policies if each.before is None},
        )
        deleted = [each for each in planned.policies if each.is_deleted]
        for each in deleted:  # first, so that what they leave free can be assigned
            applying.delete(each)
        kept = [each for each in planned.policies if not each.is_deleted]
        saved, wants = dict[int, Policy](), Wants()
        for each in kept:
            with wants.noted():
                saved[id(each)] = applying.save(each)
        wants.refuse_any()
        for each in kept:
            applying.assign(each, saved[id(each)])
        applying.reach.aim(ChangeKind.POLICY, applying.only_one_reached)
        acting.record(
            connection,
            "policies.changed",
            "changeSet",
            acting.new_id(),
            changes=len(change_set.changes),
            deleted=len(deleted),
            reason=change_set.reason,
        )
        return tuple(_outcome(each, saved.get(id(each))) for each in planned.of_change)


@dataclass(slots=True, kw_only=True)
class _Applying:
    """Carries out one plan, and notes whom it reaches."""

    connection: Connection
    acting: Acting
    saving: Saving
    reason: str
    reach: Reach
    new_ids: Mapping[int, PolicyId]
    """Of policies that are made; drawn before anything else, so that every run gives them the same ones."""
    reached: set[PolicyId] = field(default_factory=set)

    @property
    def only_one_reached(self) -> PolicyId | None:
        """The policy that all of it is about, if it is one."""
        return next(iter(self.reached)) if len(self.reached) == 1 else None

    def delete(self, planned: Planned) -> None:
        if planned.before is not None:
            self._reach(planned.before.id)
            self.saving.remove(self.connection, self.acting, planned.before, self.reason)

    def save(self, planned: Planned) -> Policy:
        if planned.before is None:
            with at(planned.drafted_by):
                new_id = self.new_ids[id(planned)]
                return self.saving.add(self.connection, self.acting, planned.draft, self.reason, new_id=new_id)
        if not planned.is_edited:
            return planned.before
        with at(planned.drafted_by):
            after = self.saving.put(self.connection, self.acting, planned.before, planned.draft, self.reason)
        if after.digest != planned.before.digest:
            self._reach(after.id)
        return after

    def assign(self, planned: Planned, policy: Policy) -> None:
        wanted = planned.assigned
        if wanted is None or self._is_so_already(policy.id, wanted):
            return
        self._reach(policy.id)
        with at(planned.assigned_by):
            put_assignments(self.connection, self.acting, policy, wanted, self.reason)
        self._reach(policy.id)

    def _is_so_already(self, policy_id: PolicyId, wanted: tuple[Assigned, ...]) -> bool:
        present = assignments.of_policy(self.connection, policy_id)
        return len(present) == len(wanted) and set(present) == {assignment(policy_id, each) for each in wanted}

    def _reach(self, policy_id: PolicyId) -> None:
        self.reached.add(policy_id)
        self.reach.policy(policy_id)


def _outcome(planned: Planned, saved: Policy | None) -> Outcome:
    if saved is not None:
        return saved
    assert planned.before is not None, "only what is there is deleted"
    return Deleted(policy_id=planned.before.id, name=planned.before.name)
