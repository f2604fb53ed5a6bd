"""Who calls: an application, known by its bearer token, in the tenant that issued it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from joserfc.jwk import KeySet
from litestar.connection import ASGIConnection

from shieldwall.contract.ids import TenantId
from shieldwall.server.authorization import Principal, UnauthenticatedError
from shieldwall.server.directory import apps
from shieldwall.server.graph import identity
from shieldwall.server.graph.tokens import claimed_tenant
from shieldwall.server.services import AdminServices

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
_MOST_KEY_SETS: Final = 1_000


def finding_principal(services: AdminServices) -> Callable[[Connection], Principal]:
    """Make the function that finds out who calls. It raises UnauthenticatedError and never says what is wrong."""

    @lru_cache(_MOST_KEY_SETS)
    def keys_of(tenant_id: TenantId) -> KeySet:
        return KeySet.import_key_set({"keys": services.signers.for_tenant(tenant_id).jwks()["keys"]})

    def principal_of(connection: Connection) -> Principal:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("The request carries no access token.")
        tenant = services.tenancy.find(claimed_tenant(token))
        if tenant is None:
            raise UnauthenticatedError("The access token is not valid.")
        issuer = identity.issuer_of(services.of(tenant))
        principal = issuer.principal_of(token, keys_of(tenant.id), services.clock.now())
        with services.database.read() as transaction:
            if not apps.is_known(transaction, principal.tenant_id, principal.id):
                raise UnauthenticatedError("The access token is not valid.")
        return principal

    return principal_of
