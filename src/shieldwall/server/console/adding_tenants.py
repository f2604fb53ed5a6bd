"""``server tenant add``: one more organisation on a server, whether or not it runs meanwhile.

Keys come first, then the row that makes the tenant known. Where the row cannot be written, the keys go again: nothing
was signed with them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.names import is_name
from shieldwall.server.signer.keys import create_keys
from shieldwall.server.storage.errors import AlreadyExistsError
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tenants import tenants

_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z")


class InvalidTenantError(ShieldwallError):
    """There can be no tenant of that name or domain."""

    code = "invalidTenant"
    remedy = "Give the organisation's name, and a domain such as fabrikam.example that no other tenant has."


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTenant:
    """Make a tenant with keys of its own."""

    clock: Clock
    new_id: Callable[[], str]

    def __call__(self, services: AdminServices, *, display_name: str, domain: str, actor: str) -> Tenant:
        """Make a tenant and return it.

        Raises:
            InvalidTenantError: The name or the domain cannot be.
            AlreadyExistsError: The domain is another tenant's.
            KeyFilesError: The keys cannot be kept; mostly because somebody else than the server's user asks.
        """
        domain = domain.lower()
        if not is_name(display_name):
            raise InvalidTenantError("A tenant's name has 1 to 256 plain characters.")
        if not _DOMAIN.match(domain):
            raise InvalidTenantError(f"{domain[:64]!r} is not a domain name.")
        tenant = Tenant(
            id=TenantId(self.new_id()), display_name=display_name, domain=domain, created_at=self.clock.now()
        )
        directory = services.settings.keys
        with services.database.read() as connection:
            _refuse_taken(connection, domain)
        create_keys(directory, tenant.id, self.clock)
        try:
            with services.database.write() as connection:
                _refuse_taken(connection, domain)
                tenants.add(connection, tenant)
                for concerned in (services.tenant, tenant):
                    acting = services.of(concerned).acting(actor)
                    acting.record(connection, "tenant.added", "tenant", tenant.id, name=display_name, domain=domain)
        except BaseException:
            shutil.rmtree(directory / tenant.id)
            raise
        return tenant


def _refuse_taken(connection: Connection, domain: str) -> None:
    if tenants.find_by_domain(connection, domain) is not None:
        raise AlreadyExistsError(f"Another tenant has the domain {domain}.")
