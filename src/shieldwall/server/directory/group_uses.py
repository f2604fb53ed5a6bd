"""What a group is used by: policies that are assigned to it, rules that ask for it, rights that reach as far as it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.ids import GroupId, PolicyId, TenantId
from shieldwall.server.directory import scope_tags
from shieldwall.server.directory.membership import groups_asking_for
from shieldwall.server.storage.access import role_assignments, scoping
from shieldwall.server.storage.access_records import RoleAssignment, ScopeTag
from shieldwall.server.storage.policies import assignments, policies
from shieldwall.server.storage.records import Assignment, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyUse:
    """A policy whose assignments include or exclude a group."""

    policy_id: PolicyId
    name: str
    assignment: Assignment


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUses:
    """Everything that names a group. While there is anything, the group cannot be deleted."""

    policies: tuple[PolicyUse, ...]
    asking: tuple[Group, ...]
    """Groups whose rules ask for its members."""
    roles: tuple[RoleAssignment, ...]
    """Role assignments that give rights to its people, or over its devices."""
    scope_tags: tuple[ScopeTag, ...]

    @property
    def are_none(self) -> bool:
        """Whether nothing names it."""
        return not (self.policies or self.asking or self.roles or self.scope_tags)


def uses_of(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> GroupUses:
    """Return what a group of this tenant is used by."""
    assigned = assignments.of_group(connection, group_id)
    return GroupUses(
        policies=tuple(
            PolicyUse(policy_id=each.policy_id, name=found.name, assignment=each)
            for each in assigned
            if (found := policies.find(connection, each.policy_id)) is not None and found.tenant_id == tenant_id
        ),
        asking=groups_asking_for(connection, tenant_id, group_id),
        roles=tuple(
            each
            for each in role_assignments.all_of_tenant(connection, tenant_id)
            if group_id in each.members or group_id in each.scope_groups
        ),
        scope_tags=tuple(
            scope_tags.get_tag(connection, tenant_id, tag_id)
            for tag_id in sorted(scoping.tags_of_group(connection, tenant_id, group_id), key=int)
        ),
    )
