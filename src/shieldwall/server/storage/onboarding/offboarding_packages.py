"""Offboarding packages that were made: who made which, and until when each is good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from shieldwall.contract.ids import DeviceId, PackageId, TenantId
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.schema import offboarding_packages as packages


@dataclass(frozen=True, slots=True, kw_only=True)
class OffboardingPackageRecord:
    """A package as the server remembers it."""

    id: PackageId
    tenant_id: TenantId
    display_name: str
    platforms: tuple[str, ...]
    not_after: datetime
    created_at: datetime
    created_by: str
    device_ids: tuple[DeviceId, ...] = ()
    """Those it was made for; none means all."""


def add(connection: Connection, package: OffboardingPackageRecord) -> None:
    """Add a package."""
    connection.execute(
        insert(packages).values(
            columns_of(package, platforms=to_text(package.platforms), device_ids=to_text(package.device_ids))
        )
    )


def find(connection: Connection, package_id: PackageId) -> OffboardingPackageRecord | None:
    """Return a package, or ``None``."""
    row = connection.execute(select(packages).where(packages.c.id == package_id)).one_or_none()
    return None if row is None else _package(row)


def list_packages(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[OffboardingPackageRecord, ...]:
    """Return one page of a tenant's packages, expired ones included, ordered by id unless the page says otherwise."""
    query = select(packages).where(packages.c.tenant_id == tenant_id)
    return tuple(map(_package, paging.rows(connection, query, page, packages.c.id)))


def _package(row: Row[Any]) -> OffboardingPackageRecord:
    columns = row._asdict()
    lists = {name: strings_from(columns[name]) for name in ("platforms", "device_ids")}
    return OffboardingPackageRecord(**(columns | lists))
