"""Lists of ids in statements that are put together once, on both engines."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.support.samples import TENANT_ID, a_tenant, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.statements.bulk import is_named, is_one_of, where_few
from shieldwall.server.storage.tables.schema import tenants as tenants_table
from shieldwall.server.storage.tenants import tenants

OTHER = TenantId(counted_id("1", 1))
BY_ID = select(tenants_table.c.id).where(is_named(tenants_table.c.id)).order_by(tenants_table.c.id)
BY_DOMAIN = select(tenants_table.c.id).where(is_named(tenants_table.c.domain)).order_by(tenants_table.c.id)


@pytest.mark.parametrize(
    "ids", [[], [TENANT_ID], (OTHER, TENANT_ID), frozenset({OTHER}), [f'{OTHER}"', counted_id("1", 2)]]
)
def test_ids_that_are_named_later_find_what_those_find_that_are_written_into_the_statement(
    database: Database, ids: list[str]
) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
        written = select(tenants_table.c.id).where(is_one_of(connection, tenants_table.c.id, ids))

        found = connection.scalars(BY_ID, {"ids": ids}).all()

        assert found == connection.scalars(written.order_by(tenants_table.c.id)).all()
        assert set(found) == set(ids) & {TENANT_ID, OTHER}


def test_statements_that_differ_in_the_column_alone_are_told_apart(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))

        assert connection.scalars(BY_ID, {"ids": [OTHER]}).all() == [OTHER]
        assert connection.scalars(BY_DOMAIN, {"ids": [OTHER]}).all() == []
        assert connection.scalars(BY_DOMAIN, {"ids": ["other.example"]}).all() == [OTHER]


@pytest.mark.parametrize("most", range(4))
def test_ids_come_back_where_they_are_few(database: Database, most: int) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        tenants.add(connection, a_tenant(id=OTHER, domain="other.example"))
        both = select(tenants_table.c.id).where(is_one_of(connection, tenants_table.c.id, [OTHER, TENANT_ID]))

        found = where_few(connection, both, most)
        assert found is None if most < 2 else sorted(found or ()) == sorted([OTHER, TENANT_ID])
        assert where_few(connection, both.where(tenants_table.c.domain == "nobody"), most) == []
