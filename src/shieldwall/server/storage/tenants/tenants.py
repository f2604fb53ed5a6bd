"""Tenants: the organisations on this server."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from sqlalchemy import Column, Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import TenantId
from shieldwall.policy.enrollment import EnforcementScope
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.statements.rows import columns_of, to_text
from shieldwall.server.storage.tables.schema import tenants

T = TypeVar("T")

_TENANTS: Final = select(tenants.c.id, tenants.c.display_name, tenants.c.domain, tenants.c.created_at)


def get(connection: Connection, tenant_id: TenantId) -> Tenant:
    """Return a tenant. Raises: NotFoundError."""
    if (tenant := find(connection, tenant_id)) is None:
        raise NotFoundError(f"There is no tenant {tenant_id}.")
    return tenant


def find(connection: Connection, tenant_id: TenantId) -> Tenant | None:
    """Return a tenant, or ``None``."""
    row = connection.execute(_TENANTS.where(tenants.c.id == tenant_id)).one_or_none()
    return None if row is None else Tenant(**row._asdict())


def find_by_domain(connection: Connection, domain: str) -> Tenant | None:
    """Return the tenant that owns this domain, in any case, or ``None``."""
    row = connection.execute(_TENANTS.where(func.lower(tenants.c.domain) == domain.lower())).one_or_none()
    return None if row is None else Tenant(**row._asdict())


def list_tenants(connection: Connection) -> tuple[Tenant, ...]:
    """Return all tenants, ordered by id."""
    return tuple(Tenant(**row._asdict()) for row in connection.execute(_TENANTS.order_by(tenants.c.id)))


def add(connection: Connection, tenant: Tenant) -> None:
    """Add a tenant.

    Raises:
        AlreadyExistsError: Its id or its domain is taken.
    """
    try:
        connection.execute(insert(tenants).values(columns_of(tenant)))
    except IntegrityError as error:
        raise AlreadyExistsError(
            f"A tenant with the id or the domain of {tenant.domain!r} is there already."
        ) from error


def conflict_rules(connection: Connection, tenant_id: TenantId) -> ConflictRules:
    """Return the families that a tenant decides otherwise than published. Raises: NotFoundError."""
    text = _choice(connection, tenant_id, tenants.c.conflict_rules)
    return strict_json.decode(text, dict[ConflictFamily, ConflictRule])


def put_conflict_rules(connection: Connection, tenant_id: TenantId, rules: ConflictRules) -> None:
    """Replace the rules of a tenant. Raises: NotFoundError."""
    _put_choice(connection, tenant_id, tenants.c.conflict_rules, dict(rules))


def enforcement_scope(connection: Connection, tenant_id: TenantId) -> EnforcementScope:
    """Return which devices of a tenant may be managed. Raises: NotFoundError."""
    return strict_json.decode(_choice(connection, tenant_id, tenants.c.enforcement_scope), EnforcementScope)


def put_enforcement_scope(connection: Connection, tenant_id: TenantId, scope: EnforcementScope) -> None:
    """Replace the enforcement scope of a tenant. Raises: NotFoundError."""
    _put_choice(connection, tenant_id, tenants.c.enforcement_scope, scope)


def clean_up(connection: Connection, tenant_id: TenantId, kind: type[T]) -> T:
    """Return a tenant's rules of cleaning up, which are of this kind. Raises: NotFoundError."""
    return strict_json.decode(_choice(connection, tenant_id, tenants.c.clean_up), kind)


def put_clean_up(connection: Connection, tenant_id: TenantId, rules: Any) -> None:
    """Replace the rules of cleaning up of a tenant. Raises: NotFoundError."""
    _put_choice(connection, tenant_id, tenants.c.clean_up, rules)


def _choice(connection: Connection, tenant_id: TenantId, column: Column[str]) -> bytes:
    """Read what a tenant chose, as JSON. Raises: NotFoundError."""
    text = connection.execute(select(column).where(tenants.c.id == tenant_id)).scalar_one_or_none()
    if text is None:
        raise NotFoundError(f"There is no tenant {tenant_id}.")
    return text.encode()


def _put_choice(connection: Connection, tenant_id: TenantId, column: Column[str], value: Any) -> None:
    """Keep what a tenant chose, as JSON. Raises: NotFoundError."""
    changed = connection.execute(update(tenants).where(tenants.c.id == tenant_id).values({column: to_text(value)}))
    if changed.rowcount == 0:
        raise NotFoundError(f"There is no tenant {tenant_id}.")
