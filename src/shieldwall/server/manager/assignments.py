"""Assigning a policy: the whole list of whom it reaches, replaced at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.catalog.findings import InvalidPolicyError
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import AssignmentFilterId, GroupId, PolicyId, TenantId
from shieldwall.contract.messages import MAX_MANIFEST_ITEMS
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.holding import require_scope, require_target, sees_group
from shieldwall.server.manager.drafts import reason_findings
from shieldwall.server.manager.reach import Reach
from shieldwall.server.manager.revisions import get_policy
from shieldwall.server.manager.saving import record
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.policies import assignments, filters
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.records import Assignment, AssignmentKind, FilterKind, Policy

MAX_ASSIGNMENTS: Final = 1_000


class UnknownGroupError(ShieldwallError):
    """An assignment names a group that is not there."""

    code = "unknownGroup"
    remedy = "Name a group of this tenant, or create it first."


class UnknownFilterError(ShieldwallError):
    """An assignment names a filter that is not there."""

    code = "unknownFilter"
    remedy = "Name an assignment filter of this tenant, or create it first."


class InvalidAssignmentError(ShieldwallError):
    """The assignments contradict or repeat each other."""

    code = "invalidAssignment"
    remedy = "Name every group once, either to include or to exclude it, and all devices without a group."


class TooManyAssignedError(ShieldwallError):
    """More assignments, or more assigned policies, than a device could take."""

    code = "tooManyAssigned"
    remedy = "Bring settings together in fewer policies, or name fewer groups; a dynamic group can stand for many."


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """Whom an assignment names: a group to include or exclude, or all devices; a filter may narrow what it includes."""

    kind: AssignmentKind
    group_id: GroupId | None = None
    filter_id: AssignmentFilterId | None = None
    filter_kind: FilterKind = FilterKind.NONE


def assign(
    connection: Connection, acting: Acting, policy_id: PolicyId, wanted: Sequence[Assigned], *, reason: str = ""
) -> tuple[Assignment, ...]:
    """Make these the assignments of a policy, and retarget everybody who gets or loses it.

    Raises:
        NotFoundError: There is no such policy.
        InvalidAssignmentError: A group or all devices stand there twice, or a group or filter in a place without
            meaning.
        UnknownGroupError: A group is not there.
        UnknownFilterError: A filter is not there.
        TooManyAssignedError: A device could have to take more policies than fit into its manifest.
        InvalidPolicyError: The reason is no plain text.
        OutOfScopeError: The policy, or a group that comes or goes, lies beyond the scope of who assigns it.
    """
    targets.lock(connection)
    policy = get_policy(connection, acting.tenant_id, policy_id)
    reach = Reach(connection, acting)
    reach.policy(policy_id)
    put_assignments(connection, acting, policy, wanted, reason)
    reach.policy(policy_id)
    reach.aim(ChangeKind.POLICY, policy_id)
    return assignments.of_policy(connection, policy_id)


def put_assignments(
    connection: Connection, acting: Acting, policy: Policy, wanted: Sequence[Assigned], reason: str = ""
) -> None:
    """Make these the assignments of a policy and leave it to the caller to retarget. Raises: as ``assign``."""
    if findings := tuple(reason_findings(reason)):
        raise InvalidPolicyError(findings)
    action, tags = ResourceAction.ASSIGN_POLICIES, policy.role_scope_tag_ids
    require_scope(acting, action, tags, f"the policy {policy.name}")
    check_assignments(connection, acting, policy.id, wanted)
    before = assignments.of_policy(connection, policy.id)
    for changed in set(before) ^ {assignment(policy.id, each) for each in wanted}:
        require_target(acting, changed.group_id)
    assignments.replace(connection, policy.id, [assignment(policy.id, each) for each in wanted])
    record(connection, acting, "policy.assigned", policy, reason, assignments=[_told(each) for each in wanted])


def assignment(policy_id: PolicyId, wanted: Assigned) -> Assignment:
    """Say of a policy whom it is assigned to."""
    return Assignment(
        policy_id=policy_id,
        kind=wanted.kind,
        group_id=wanted.group_id,
        filter_id=wanted.filter_id,
        filter_kind=wanted.filter_kind,
    )


def assignments_of(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> tuple[Assignment, ...]:
    """Return whom a policy is assigned to. Raises: NotFoundError."""
    get_policy(connection, tenant_id, policy_id)
    return assignments.of_policy(connection, policy_id)


def check_assignments(connection: Connection, acting: Acting, policy_id: PolicyId, wanted: Sequence[Assigned]) -> None:
    """Refuse assignments that cannot be; those that stay may name what their author does not see.

    Raises:
        ShieldwallError: As ``assign``.
    """
    if len(wanted) > MAX_ASSIGNMENTS:
        raise TooManyAssignedError(f"{len(wanted)} assignments are more than {MAX_ASSIGNMENTS}.")
    present = frozenset(assignments.of_policy(connection, policy_id))
    named: set[GroupId | None] = set()
    for each in wanted:
        _check_shape(each)
        if each.group_id in named:
            raise InvalidAssignmentError(f"{each.group_id or 'All devices'} is named twice.")
        named.add(each.group_id)
        if assignment(policy_id, each) not in present:
            _check_presence(connection, acting, each)
    # A device may be in every group: then it takes every assigned policy, and all must fit into one manifest.
    others = assignments.count_other_policies(connection, acting.tenant_id, policy_id)
    if wanted and others >= MAX_MANIFEST_ITEMS:
        raise TooManyAssignedError(f"{others} policies are assigned already, which is the most a device takes.")


def _check_shape(wanted: Assigned) -> None:
    if (wanted.group_id is None) != (wanted.kind is AssignmentKind.ALL_DEVICES):
        raise InvalidAssignmentError(f"An assignment of the kind {wanted.kind} does not fit its group.")
    if (wanted.filter_id is None) != (wanted.filter_kind is FilterKind.NONE):
        raise InvalidAssignmentError(f"A filter of the kind {wanted.filter_kind} does not fit its id.")
    if wanted.filter_id is not None and wanted.kind is AssignmentKind.EXCLUDE:
        raise InvalidAssignmentError("An exclusion is for whole groups; no filter narrows it.")


def _check_presence(connection: Connection, acting: Acting, wanted: Assigned) -> None:
    if wanted.group_id is not None:
        group = groups.find(connection, wanted.group_id)
        absent = group is None or group.tenant_id != acting.tenant_id
        if absent or not sees_group(connection, acting, wanted.group_id):
            raise UnknownGroupError(f"There is no group {wanted.group_id}.")
    if wanted.filter_id is not None:
        narrowing = filters.find(connection, wanted.filter_id)
        seen = narrowing is not None and acting.access.sees(ResourceAction.READ_FILTERS, narrowing.role_scope_tag_ids)
        if narrowing is None or narrowing.tenant_id != acting.tenant_id or not seen:
            raise UnknownFilterError(f"There is no assignment filter {wanted.filter_id}.")


def _told(wanted: Assigned) -> dict[str, str | None]:
    filtered = {"filter": wanted.filter_id, "filterKind": wanted.filter_kind.value} if wanted.filter_id else {}
    return {"kind": wanted.kind.value, "group": wanted.group_id, **filtered}
