"""Tenants: the organisations on this server."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.rows import columns_of
from shieldwall.server.storage.schema import tenants


def get(connection: Connection, tenant_id: TenantId) -> Tenant:
    """Return a tenant. Raises: NotFoundError."""
    row = connection.execute(select(tenants).where(tenants.c.id == tenant_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no tenant {tenant_id}.")
    return Tenant(**row._asdict())


def find_by_domain(connection: Connection, domain: str) -> Tenant | None:
    """Return the tenant that owns this domain, or ``None``."""
    row = connection.execute(select(tenants).where(tenants.c.domain == domain)).one_or_none()
    return None if row is None else Tenant(**row._asdict())


def list_tenants(connection: Connection) -> tuple[Tenant, ...]:
    """Return all tenants, ordered by id."""
    return tuple(Tenant(**row._asdict()) for row in connection.execute(select(tenants).order_by(tenants.c.id)))


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
