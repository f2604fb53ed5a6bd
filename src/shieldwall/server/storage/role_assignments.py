"""Role assignments: which roles people have, and within which scope."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.storage.access_records import RoleAssignment, ScopeType
from shieldwall.server.storage.access_schema import role_assignments
from shieldwall.server.storage.rows import columns_of, strings_from, to_text


def add(connection: Connection, assignment: RoleAssignment) -> None:
    """Add an assignment."""
    connection.execute(insert(role_assignments).values(_columns(assignment)))


def all_of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[RoleAssignment, ...]:
    """Return all assignments of a tenant, oldest first: there are dozens, not thousands."""
    query = (
        select(role_assignments)
        .where(role_assignments.c.tenant_id == tenant_id)
        .order_by(role_assignments.c.created_at, role_assignments.c.id)
    )
    return tuple(map(_assignment, connection.execute(query)))


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
