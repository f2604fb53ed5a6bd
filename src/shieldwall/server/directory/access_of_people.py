"""What a person may do, put together from the roles assigned to them and to the groups they belong to."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.grants import Access, Grant, Scope
from shieldwall.server.access.roles import ADMINISTRATOR, BUILT_IN, Role
from shieldwall.server.directory.acting import Acting
from shieldwall.server.storage import people, role_assignments
from shieldwall.server.storage.access_records import RoleAssignment, ScopeType
from shieldwall.server.storage.identity_records import Person


def access_of(connection: Connection, person: Person) -> Access:
    """Add up what a person is granted; one who is switched off is granted nothing."""
    if not person.enabled:
        return Access()
    belongs_to = {person.id, *people.groups_of(connection, person.id)}
    assigned = role_assignments.all_of_tenant(connection, person.tenant_id)
    named = [each for each in assigned if not belongs_to.isdisjoint(each.members)]
    return Access(tuple(grant_of(each, _actions_of_built_in) for each in named))


def grant_of(assignment: RoleAssignment, actions_of: Callable[[str], frozenset[ResourceAction]]) -> Grant:
    """Say what one assignment grants; ``actions_of`` knows the roles."""
    tags = frozenset(assignment.role_scope_tag_ids) or None
    groups = None if assignment.scope_type is ScopeType.ALL_DEVICES else frozenset(assignment.scope_groups)
    return Grant(actions_of(assignment.role_id), Scope(tags=tags, groups=groups))


def make_administrator(connection: Connection, acting: Acting, person: Person, role: Role = ADMINISTRATOR) -> None:
    """Give a person a role in the whole tenant."""
    now = acting.clock.now()
    role_assignments.add(
        connection,
        RoleAssignment(
            id=acting.new_id(),
            tenant_id=person.tenant_id,
            role_id=role.id,
            display_name=f"{role.display_name}: {person.display_name}"[:256],
            description="Given with the invitation from the server's console.",
            members=(person.id,),
            scope_type=ScopeType.ALL_DEVICES,
            scope_groups=(),
            role_scope_tag_ids=(),
            created_at=now,
            modified_at=now,
        ),
    )
    acting.record(connection, "role.assigned", "person", person.id, role=role.display_name)


def _actions_of_built_in(role_id: str) -> frozenset[ResourceAction]:
    role = BUILT_IN.get(role_id)
    return frozenset() if role is None else role.actions
