"""The one view across tenants, for those who run the server for several organisations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.inventory.machines import INACTIVE_AFTER
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.reports import tenant_figures
from shieldwall.server.storage.reports.tenant_figures import Figures
from shieldwall.server.storage.tenants import tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantOverview:
    """A tenant and its figures."""

    tenant: Tenant
    figures: Figures


def overview(connection: Connection, now: datetime) -> tuple[TenantOverview, ...]:
    """Return every tenant with its figures, ordered by name."""
    figures = tenant_figures.of_all(connection, inactive_before=now - INACTIVE_AFTER)
    found = [
        TenantOverview(tenant=tenant, figures=figures.get(tenant.id, Figures()))
        for tenant in tenants.list_tenants(connection)
    ]
    return tuple(sorted(found, key=lambda each: (each.tenant.display_name.casefold(), each.tenant.id)))


def overview_of(connection: Connection, tenant_id: TenantId, now: datetime) -> TenantOverview:
    """Return one tenant with its figures. Raises: NotFoundError."""
    for each in overview(connection, now):
        if each.tenant.id == tenant_id:
            return each
    raise NotFoundError(f"There is no tenant {tenant_id}.")
