from __future__ import annotations

import pytest
from tests.support.samples import TENANT_ID, a_tenant, counted_id
from tests.support.second_tenant import fabrikam

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.tenants import tenants

OTHER = TenantId(counted_id("1", 1))


def test_tenants_come_back_as_they_were_kept(database: Database) -> None:
    other = a_tenant(id=OTHER, domain="other.example")
    with database.write() as connection:
        tenants.add(connection, other)
        tenants.add(connection, a_tenant())
    with database.read() as connection:
        assert tenants.get(connection, TENANT_ID) == a_tenant()
        assert tenants.find_by_domain(connection, "other.example") == other
        assert tenants.find_by_domain(connection, "nobody.example") is None
        assert tenants.list_tenants(connection) == (a_tenant(), other, fabrikam())
        with pytest.raises(NotFoundError):
            tenants.get(connection, TenantId(counted_id("1", 2)))


def test_a_domain_belongs_to_one_tenant(tenant_database: Database) -> None:
    with pytest.raises(AlreadyExistsError), tenant_database.write() as connection:
        tenants.add(connection, a_tenant(id=OTHER))
