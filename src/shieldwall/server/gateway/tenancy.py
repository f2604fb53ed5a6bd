"""Paths that name a tenant."""

from __future__ import annotations

from shieldwall.contract.ids import TenantId
from shieldwall.server.gateway.calls import Call
from shieldwall.server.gateway.problems import NoSuchPathError


def check_tenant(call: Call, tenant_id: TenantId) -> None:
    """Refuse a path of another tenant, in the words for a path that is not there. Raises: NoSuchPathError."""
    if call.parameters["tenant"] != tenant_id:
        raise NoSuchPathError("There is nothing at this path.")
