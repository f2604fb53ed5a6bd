"""What a person may do, put together from the roles assigned to them and to the groups they belong to."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.grants import Access, Grant, Scope
from shieldwall.server.access.roles import ADMINISTRATOR, BUILT_IN, Role
from shieldwall.server.directory.acting import Acting
from shieldwall.server.storage.access import role_assignments, roles
from shieldwall.server.storage.access_records import RoleAssignment, ScopeType
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Person


def access_of(connection: Connection, person: Person) -> Access:
    """Add up what a person is granted; one who is switched off is granted nothing."""
    if not person.enabled:
        return Access()
    belongs_to = {person.id, *people.groups_of(connection, person.id)}
    assigned = role_assignments.all_of_tenant(connection, person.tenant_id)
    named = [each for each in assigned if not belongs_to.isdisjoint(each.members)]
    return Access(grants_of(connection, person.tenant_id, named))


def grants_of(connection: Connection, tenant_id: TenantId, assigned: Iterable[RoleAssignment]) -> tuple[Grant, ...]:
    """Say what assignments grant; one of a role that is gone grants nothing."""
    found: list[Grant] = []
    known: dict[str, Role | None] = {}
    for each in assigned:
        if each.role_id not in known:
            known[each.role_id] = role_of(connection, tenant_id, each.role_id)
        role = known[each.role_id]
        if role is not None:
            found.append(Grant(role.actions, scope_of(each)))
    return tuple(found)


def role_of(connection: Connection, tenant_id: TenantId, role_id: str) -> Role | None:
    """Return a role, built in or the tenant's own, or ``None``."""
    if role_id in BUILT_IN:
        return BUILT_IN[role_id]
    custom = roles.find(connection, tenant_id, role_id)
    return None if custom is None else custom.role


def scope_of(assignment: RoleAssignment) -> Scope:
    """Say within which scope an assignment grants its role."""
    tags = frozenset(assignment.role_scope_tag_ids) or None
    return Scope(
        tags=tags, groups=None if assignment.scope_type.covers_all_devices else frozenset(assignment.scope_groups)
    )


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
