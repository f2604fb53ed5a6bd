"""Onboarding packages and how often each was used."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.ids import PackageId, TenantId
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices as stored_devices
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.records import OnboardingPackageRecord, Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.schema import devices
from shieldwall.server.storage.tables.schema import onboarding_packages as packages


def get(connection: Connection, package_id: PackageId) -> OnboardingPackageRecord:
    """Return a package. Raises: NotFoundError."""
    if (package := find(connection, package_id)) is None:
        raise NotFoundError(f"There is no onboarding package {package_id}.")
    return package


def find(connection: Connection, package_id: PackageId) -> OnboardingPackageRecord | None:
    """Return a package, or ``None``."""
    row = connection.execute(select(packages).where(packages.c.id == package_id)).one_or_none()
    return None if row is None else _package(row)


def list_packages(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[OnboardingPackageRecord, ...]:
    """Return one page of a tenant's packages, also revoked and expired ones, ordered by id unless told otherwise."""
    query = select(packages).where(packages.c.tenant_id == tenant_id)
    return tuple(map(_package, paging.rows(connection, query, page, packages.c.id)))


def add(connection: Connection, package: OnboardingPackageRecord) -> None:
    """Add a package. Raises: AlreadyExistsError."""
    columns = columns_of(package, platforms=to_text(package.platforms), tags=to_text(package.tags))
    try:
        connection.execute(insert(packages).values(columns))
    except IntegrityError as error:
        raise AlreadyExistsError(f"An onboarding package {package.id} is there already.") from error


def take_use(connection: Connection, package_id: PackageId) -> bool:
    """Count one use; say whether there was one left and the package was not revoked.

    One statement decides and counts, so parallel callers never use a package more often than it allows.
    """
    result = connection.execute(
        update(packages)
        .where(packages.c.id == package_id, packages.c.uses < packages.c.max_uses, packages.c.revoked_at.is_(None))
        .values(uses=packages.c.uses + 1)
    )
    return result.rowcount == 1


def revoke(connection: Connection, package_id: PackageId, at: datetime) -> None:
    """Let nobody use a package from now on; one that was revoked before keeps its date. Raises: NotFoundError."""
    get(connection, package_id)
    connection.execute(
        update(packages).where(packages.c.id == package_id, packages.c.revoked_at.is_(None)).values(revoked_at=at)
    )


def list_devices(connection: Connection, tenant_id: TenantId, package_id: PackageId, page: Page) -> tuple[Device, ...]:
    """Return one page of the devices that came with a package, ordered by id unless the page says otherwise."""
    came = replace(page, where=(devices.c.package_id == package_id, *page.where))
    return stored_devices.list_devices(connection, tenant_id, came)


def uses_since(connection: Connection, package_id: PackageId, since: datetime) -> int:
    """Return how many devices came with a package since a moment."""
    query = select(func.count()).select_from(devices)
    return connection.scalars(query.where(devices.c.package_id == package_id, devices.c.registered_at >= since)).one()


def _package(row: Row[Any]) -> OnboardingPackageRecord:
    columns = row._asdict()
    parsed = {"platforms": strings_from(columns["platforms"]), "tags": strings_from(columns["tags"])}
    return OnboardingPackageRecord(**(columns | parsed))
