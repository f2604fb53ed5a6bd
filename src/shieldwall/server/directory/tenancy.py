"""Finding tenants: every request at a front door is for one of them."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import TenantId, parse_tenant_id
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tenants import tenants

MOST_REMEMBERED: Final = 1_000
_WHICHEVER: Final = frozenset({"organizations", "common"})


class Tenancy:
    """Finds tenants in the database, with a bounded memory of those found.

    A tenant that is not there is looked for again each time, so one that is added is known at once; and what is kept of
    one never changes, so nothing goes stale.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Tenant] = {}

    def get(self, tenant_id: TenantId) -> Tenant:
        """Return a tenant. Raises: NotFoundError, StorageUnavailableError."""
        if (tenant := self.find(tenant_id)) is None:
            raise NotFoundError(f"There is no tenant {tenant_id}.")
        return tenant

    def find(self, tenant_id: TenantId) -> Tenant | None:
        """Return a tenant, or ``None``. Raises: StorageUnavailableError."""
        return self.named(tenant_id)

    def named(self, name: str) -> Tenant | None:
        """Return the tenant that a client names by id or by domain, in any case.

        ``organizations`` and ``common``, with which clients begin that do not know where a person belongs, name the
        tenant of a server that has one.

        Raises:
            StorageUnavailableError: The database does not answer.
        """
        wanted = name.lower()
        if wanted in _WHICHEVER:
            return self._only()
        if (known := self._known.get(wanted)) is not None:
            return known
        with self._database.read() as connection:
            try:
                tenant = tenants.find(connection, parse_tenant_id(wanted))
            except InvalidIdError:
                tenant = tenants.find_by_domain(connection, wanted)
        if tenant is not None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.pop(next(iter(self._known)), None)  # the one seen first; any would do
            self._known[wanted] = tenant
        return tenant

    def _only(self) -> Tenant | None:
        with self._database.read() as connection:
            found = tenants.list_tenants(connection)
        return found[0] if len(found) == 1 else None
