"""The roles that a tenant made itself; those that every tenant has stand in ``access.roles``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.roles import Role
from shieldwall.server.storage.statements.rows import strings_from, to_text
from shieldwall.server.storage.tables.access_schema import role_definitions

_KNOWN = frozenset(action.value for action in ResourceAction)
_ONE: Final = select(role_definitions).where(
    role_definitions.c.tenant_id == bindparam("tenant"), role_definitions.c.id == bindparam("id")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRole:
    """A role of a tenant's own, and when it was made and changed."""

    role: Role
    tenant_id: TenantId
    created_at: datetime
    modified_at: datetime


def add(connection: Connection, made: CustomRole) -> None:
    """Keep a new role."""
    connection.execute(insert(role_definitions).values(_columns(made)))


def put(connection: Connection, changed: CustomRole) -> None:
    """Write a role anew."""
    connection.execute(
        update(role_definitions).where(role_definitions.c.id == changed.role.id).values(_columns(changed))
    )


def remove(connection: Connection, tenant_id: TenantId, role_id: str) -> None:
    """Remove a role."""
    connection.execute(
        delete(role_definitions).where(role_definitions.c.tenant_id == tenant_id, role_definitions.c.id == role_id)
    )


def find(connection: Connection, tenant_id: TenantId, role_id: str) -> CustomRole | None:
    """Return a role that a tenant made, or ``None``."""
    row = connection.execute(_ONE, {"tenant": tenant_id, "id": role_id}).one_or_none()
    return None if row is None else _role(row)


def all_of_tenant(connection: Connection, tenant_id: TenantId) -> tuple[CustomRole, ...]:
    """Return all roles that a tenant made, oldest first: there are dozens, not thousands."""
    query = (
        select(role_definitions)
        .where(role_definitions.c.tenant_id == tenant_id)
        .order_by(role_definitions.c.created_at, role_definitions.c.id)
    )
    return tuple(map(_role, connection.execute(query)))


def _columns(made: CustomRole) -> dict[str, Any]:
    return {
        "id": made.role.id,
        "tenant_id": made.tenant_id,
        "display_name": made.role.display_name,
        "description": made.role.description,
        "actions": to_text(sorted(action.value for action in made.role.actions)),
        "role_scope_tag_ids": to_text(made.role.scope_tag_ids),
        "created_at": made.created_at,
        "modified_at": made.modified_at,
    }


def _role(row: Row[Any]) -> CustomRole:
    # An action that a later version took away grants nothing.
    actions = frozenset(ResourceAction(name) for name in strings_from(row.actions) if name in _KNOWN)
    role = Role(
        id=row.id,
        display_name=row.display_name,
        description=row.description,
        actions=actions,
        scope_tag_ids=strings_from(row.role_scope_tag_ids),
    )
    return CustomRole(role=role, tenant_id=row.tenant_id, created_at=row.created_at, modified_at=row.modified_at)
