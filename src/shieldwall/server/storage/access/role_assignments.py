"""Role assignments: which roles people have, and within which scope."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.storage.access_records import RoleAssignment, ScopeType
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.access_schema import group_people, role_assignments
from shieldwall.server.storage.tables.identity_schema import people

_ALL: Final = (
    select(role_assignments)
    .where(role_assignments.c.tenant_id == bindparam("tenant"))
    .order_by(role_assignments.c.created_at, role_assignments.c.id)
)


def add(connection: Connection, assignment: RoleAssignment) -> None:
    """Add an assignment."""
    connection.execute(insert(role_assignments).values(_columns(assignment)))


def put(connection: Connection, assignment: RoleAssignment) -> None:
    """Write an assignment anew."""
    connection.execute(
        update(role_assignments).where(role_assignments.c.id == assignment.id).values(_columns(assignment))
    )


def remove(connection: Connection, tenant_id: TenantId, assignment_id: str) -> None:
    """Remove an assignment."""
    connection.execute(delete(role_assignments).where(*_one(tenant_id, assignment_id)))


def find(connection: Connection, tenant_id: TenantId, assignment_id: str) -> RoleAssignment | None:
    """Return an assignment of a tenant, or ``None``."""
    row = connection.execute(select(role_assignments).where(*_one(tenant_id, assignment_id))).one_or_none()
    return None if row is None else _assignment(row)


def all_of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[RoleAssignment, ...]:
    """Return all assignments of a tenant, oldest first: there are dozens, not thousands."""
    return tuple(map(_assignment, connection.execute(_ALL, {"tenant": tenant_id})))


def enabled_people(connection: Connection, tenant_id: TenantId, members: Collection[str]) -> frozenset[str]:
    """Return the people among members, and those who belong to a group among them, who are not switched off."""
    in_groups = select(group_people.c.person_id).where(
        group_people.c.tenant_id == tenant_id, group_people.c.group_id.in_(sorted(members))
    )
    query = select(people.c.id).where(
        people.c.tenant_id == tenant_id,
        people.c.enabled,
        or_(people.c.id.in_(sorted(members)), people.c.id.in_(in_groups)),
    )
    return frozenset(connection.scalars(query))


def people_of_groups(
    connection: Connection, tenant_id: TenantId, group_ids: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """Return who belongs to which of these groups, as pairs of group and person."""
    query = (
        select(group_people.c.group_id, group_people.c.person_id)
        .where(group_people.c.tenant_id == tenant_id, group_people.c.group_id.in_(sorted(group_ids)))
        .order_by(group_people.c.group_id, group_people.c.person_id)
    )
    return tuple((group_id, person_id) for group_id, person_id in connection.execute(query))


def known_people(connection: Connection, tenant_id: TenantId, members: Collection[str]) -> frozenset[str]:
    """Return those of these ids that name people of a tenant."""
    query = select(people.c.id).where(people.c.tenant_id == tenant_id, people.c.id.in_(sorted(members)))
    return frozenset(connection.scalars(query))


def _one(tenant_id: TenantId, assignment_id: str) -> tuple[Any, Any]:
    return role_assignments.c.tenant_id == tenant_id, role_assignments.c.id == assignment_id


def _columns(assignment: RoleAssignment) -> dict[str, Any]:
    lists = ("members", "scope_groups", "role_scope_tag_ids")
    return columns_of(assignment, **{name: to_text(getattr(assignment, name)) for name in lists})


def _assignment(row: Row[Any]) -> RoleAssignment:
    columns = row._asdict()
    return RoleAssignment(
        **columns
        | {
            "members": strings_from(columns["members"]),
            "scope_type": ScopeType(columns["scope_type"]),
            "scope_groups": tuple(map(GroupId, strings_from(columns["scope_groups"]))),
            "role_scope_tag_ids": strings_from(columns["role_scope_tag_ids"]),
        }
    )
