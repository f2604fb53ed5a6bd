"""Assigning a policy: the whole list of whom it reaches, replaced at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import GroupId, PolicyId, TenantId
from shieldwall.contract.messages import MAX_MANIFEST_ITEMS
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.policies import get_policy
from shieldwall.server.manager.targeting import devices_of_policy, retarget
from shieldwall.server.storage import assignments, groups, targets
from shieldwall.server.storage.records import Assignment, AssignmentKind

MAX_ASSIGNMENTS: Final = 1_000


class UnknownGroupError(ShieldwallError):
    """An assignment names a group that is not there."""

    code = "unknownGroup"
    remedy = "Name a group of this tenant, or create it first."


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
    """Whom an assignment names: a group to include or exclude, or all devices."""

    kind: AssignmentKind
    group_id: GroupId | None = None


def assign(
    connection: Connection, acting: Acting, policy_id: PolicyId, wanted: Sequence[Assigned]
) -> tuple[Assignment, ...]:
    """Make these the assignments of a policy, and retarget everybody who gets or loses it.

    Raises:
        NotFoundError: There is no such policy.
        InvalidAssignmentError: A group or all devices stand there twice, or a group in a place without meaning.
        UnknownGroupError: A group is not there.
        TooManyAssignedError: A device could have to take more policies than fit into its manifest.
    """
    targets.lock(connection)
    policy = get_policy(connection, acting.tenant_id, policy_id)
    _check(connection, acting, policy_id, wanted)
    before = devices_of_policy(connection, acting.tenant_id, policy_id)
    assignments.replace(
        connection,
        policy_id,
        [Assignment(policy_id=policy_id, kind=each.kind, group_id=each.group_id) for each in wanted],
    )
    after = devices_of_policy(connection, acting.tenant_id, policy_id)
    named = [{"kind": each.kind.value, "group": each.group_id} for each in wanted]
    acting.record(connection, "policy.assigned", "policy", policy_id, name=policy.name, assignments=named)
    retarget(connection, before | after, acting.clock.now())
    return assignments.of_policy(connection, policy_id)


def assignments_of(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> tuple[Assignment, ...]:
    """Return whom a policy is assigned to. Raises: NotFoundError."""
    get_policy(connection, tenant_id, policy_id)
    return assignments.of_policy(connection, policy_id)


def _check(connection: Connection, acting: Acting, policy_id: PolicyId, wanted: Sequence[Assigned]) -> None:
    if len(wanted) > MAX_ASSIGNMENTS:
        raise TooManyAssignedError(f"{len(wanted)} assignments are more than {MAX_ASSIGNMENTS}.")
    named: set[GroupId | None] = set()
    for each in wanted:
        if (each.group_id is None) != (each.kind is AssignmentKind.ALL_DEVICES):
            raise InvalidAssignmentError(f"An assignment of the kind {each.kind} does not fit its group.")
        if each.group_id in named:
            raise InvalidAssignmentError(f"{each.group_id or 'All devices'} is named twice.")
        named.add(each.group_id)
        if each.group_id is not None:
            group = groups.find(connection, each.group_id)
            if group is None or group.tenant_id != acting.tenant_id:
                raise UnknownGroupError(f"There is no group {each.group_id}.")
    # A device may be in every group: then it takes every assigned policy, and all must fit into one manifest.
    others = assignments.count_other_policies(connection, acting.tenant_id, policy_id)
    if wanted and others >= MAX_MANIFEST_ITEMS:
        raise TooManyAssignedError(f"{others} policies are assigned already, which is the most a device takes.")
