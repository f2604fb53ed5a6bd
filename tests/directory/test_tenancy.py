from __future__ import annotations

from tests.support.samples import TENANT_ID, a_tenant, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tenants import tenants


def test_a_tenant_is_found_by_id_and_domain_in_any_case(bare_database: Database) -> None:
    with bare_database.write() as connection:
        tenants.add(connection, a_tenant())
    tenancy = Tenancy(bare_database)

    for name in (TENANT_ID, TENANT_ID.upper(), "contoso.example", "CONTOSO.example"):
        assert tenancy.named(name) == a_tenant()
    assert tenancy.named("fabrikam.example") is None


def test_whichever_there_is_means_a_tenant_while_there_is_one(bare_database: Database) -> None:
    tenancy = Tenancy(bare_database)
    assert tenancy.named("organizations") is None
    with bare_database.write() as connection:
        tenants.add(connection, a_tenant())
    assert tenancy.named("organizations") == tenancy.named("common") == a_tenant()

    with bare_database.write() as connection:
        tenants.add(connection, a_tenant(id=TenantId(counted_id("1", 1)), domain="other.example"))

    assert tenancy.named("organizations") is None
