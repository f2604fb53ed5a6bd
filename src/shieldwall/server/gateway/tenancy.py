"""Paths that name a tenant."""

from __future__ import annotations

from dataclasses import dataclass

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import TenantId, parse_tenant_id
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.gateway.calls import Call
from shieldwall.server.gateway.problems import NoSuchPathError
from shieldwall.server.gateway.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTenants:
    """Knows the tenants that are here from any others."""

    tenancy: Tenancy
    workers: Workers

    async def of(self, call: Call) -> TenantId:
        """Return the tenant that the path of a call names.

        Raises:
            NoSuchPathError: It is not here; these are the words for any path that is not there.
            StorageUnavailableError: Nobody can tell now.
        """
        return await self.known(call.parameters["tenant"])

    async def known(self, name: str) -> TenantId:
        """Return the tenant of this id. Raises: as ``of``."""
        try:
            tenant_id = parse_tenant_id(name)
        except InvalidIdError:
            raise _nothing_there() from None
        if await self.workers.run(self.tenancy.find, tenant_id) is None:
            raise _nothing_there()
        return tenant_id


def check_own_tenant(call: Call) -> None:
    """Refuse a path of another tenant than the calling device's. Raises: NoSuchPathError."""
    if call.parameters["tenant"] != call.device.tenant_id:
        raise _nothing_there()


def _nothing_there() -> NoSuchPathError:
    return NoSuchPathError("There is nothing at this path.")
