"""What a change set comes to, policy by policy: nothing is written here, so that a preview can be made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from msgspec.structs import replace
from sqlalchemy import Connection

from shieldwall.catalog.findings import InvalidPolicyError
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.server.manager.assignments import Assigned
from shieldwall.server.manager.drafts import PolicyDraft, draft_of, reason_findings
from shieldwall.server.manager.revisions import get_policy
from shieldwall.server.manager.saving import expect
from shieldwall.server.storage.records import Policy

MAX_CHANGES: Final = 500


class InvalidChangeSetError(ShieldwallError):
    """The changes of a set contradict each other, or are not as many as expected."""

    code = "invalidChangeSet"
    remedy = "Name every policy once to delete it or else to change it, and say how many shall be deleted."


@dataclass(frozen=True, slots=True)
class Key:
    """The name by which a set calls a policy that it creates."""

    text: str


Edit: TypeAlias = Callable[[PolicyDraft], PolicyDraft]
"""From what a policy says when the change has its turn to what it shall say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make a policy; later changes of the set may name it by its key."""

    draft: PolicyDraft
    assigned: Sequence[Assigned] = ()
    key: Key | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change what a policy says, whom it is assigned to, or both; what is left out stays."""

    policy: PolicyId | Key
    draft: PolicyDraft | Edit | None = None
    assigned: Sequence[Assigned] | None = None
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete a policy."""

    policy_id: PolicyId
    expected_revision: int | None = None


Change: TypeAlias = Create | Update | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """Changes that take effect together. ``expected_deletes`` says how many of them delete."""

    changes: tuple[Change, ...]
    expected_deletes: int = 0
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Planned:
    """What a set comes to for one policy. ``before`` is absent for a new one, ``assigned`` where that stays.

    The indexes name the changes that had the last word.
    """

    before: Policy | None
    draft: PolicyDraft
    assigned: tuple[Assigned, ...] | None = None
    is_deleted: bool = False
    drafted_by: int = -1
    assigned_by: int = -1

    @property
    def is_edited(self) -> bool:
        """Whether the set says anything about the content."""
        return self.drafted_by >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a set comes to: its policies in the order they are first named, and which of them each change is about."""

    policies: tuple[Planned, ...]
    of_change: tuple[Planned, ...]


def plan(connection: Connection, tenant_id: TenantId, change_set: ChangeSet) -> Plan:
    """Bring a set to one plan per policy.

    Raises:
        InvalidChangeSetError: Changes contradict each other, or other than expected are deletions.
        InvalidPolicyError: The reason is no plain text.
        NotFoundError: A policy is not there.
        PreconditionFailedError: A policy is at another revision than its change expects.
    """
    if findings := tuple(reason_findings(change_set.reason)):
        raise InvalidPolicyError(findings)
    if not 1 <= len(change_set.changes) <= MAX_CHANGES:
        raise InvalidChangeSetError(f"A change set has 1 to {MAX_CHANGES} changes, not {len(change_set.changes)}.")
    deletes = sum(isinstance(change, Delete) for change in change_set.changes)
    if deletes != change_set.expected_deletes:
        raise InvalidChangeSetError(
            f"{deletes} policies would be deleted, expected were {change_set.expected_deletes}."
        )
    planning = _Planning(connection, tenant_id)
    of_change: list[Planned] = []
    for index, change in enumerate(change_set.changes):
        with at(index):
            of_change.append(planning.add(index, change))
    return Plan(policies=tuple(planning.policies), of_change=tuple(of_change))


@contextmanager
def at(index: int) -> Iterator[None]:
    """Name the change in what went wrong with it; the error stays what it is."""
    try:
        yield
    except InvalidPolicyError as error:
        placed = (replace(finding, path=f"changes[{index}].{finding.path}") for finding in error.findings)
        raise InvalidPolicyError(tuple(placed)) from error
    except ShieldwallError as error:
        error.cause = f"changes[{index}]: {error.cause}"
        error.args = (error.cause,)
        raise


@dataclass(slots=True)
class _Planning:
    """Folds changes into plans, one after the other."""

    connection: Connection
    tenant_id: TenantId
    policies: list[Planned] = field(default_factory=list)
    named: dict[PolicyId | Key, Planned] = field(default_factory=dict)

    def add(self, index: int, change: Change) -> Planned:
        match change:
            case Create():
                return self._create(index, change)
            case Update():
                return self._update(index, change)
            case Delete():
                return self._delete(change)

    def _create(self, index: int, change: Create) -> Planned:
        if change.key is not None and change.key in self.named:
            raise InvalidChangeSetError(f"Two policies are called {change.key.text[:64]!r}.")
        planned = Planned(
            before=None,
            draft=change.draft,
            assigned=tuple(change.assigned),
            drafted_by=index,
            assigned_by=index,
        )
        self.policies.append(planned)
        if change.key is not None:
            self.named[change.key] = planned
        return planned

    def _update(self, index: int, change: Update) -> Planned:
        planned = self._present(change.policy, change.expected_revision)
        if change.draft is not None:
            drafted = change.draft if isinstance(change.draft, PolicyDraft) else change.draft(planned.draft)
            planned.draft, planned.drafted_by = drafted, index
        if change.assigned is not None:
            planned.assigned, planned.assigned_by = tuple(change.assigned), index
        return planned

    def _delete(self, change: Delete) -> Planned:
        if change.policy_id in self.named:
            raise InvalidChangeSetError(f"The policy {change.policy_id} is changed and deleted, or deleted twice.")
        planned = self._present(change.policy_id, change.expected_revision)
        planned.is_deleted = True
        return planned

    def _present(self, named: PolicyId | Key, expected_revision: int | None) -> Planned:
        planned = self.named.get(named)
        if planned is None:
            if isinstance(named, Key):
                raise InvalidChangeSetError(f"No change before this one creates a policy called {named.text[:64]!r}.")
            before = get_policy(self.connection, self.tenant_id, named)
            planned = Planned(before=before, draft=draft_of(before))
            self.named[named] = planned
            self.policies.append(planned)
        if planned.is_deleted:
            raise InvalidChangeSetError(f"The policy {named} is deleted and changed.")
        if planned.before is not None:
            expect(planned.before, expected_revision)
        elif expected_revision is not None:
            raise InvalidChangeSetError("A policy that this set creates has no revision yet that could be expected.")
        return planned
