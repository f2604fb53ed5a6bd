from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from tests.support.samples import NOON, TENANT_ID, a_tenant, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.onboarding import nonces
from shieldwall.server.storage.tenants import tenants

FIRST, SECOND = digest_of_bytes(b"first"), digest_of_bytes(b"second")


def test_a_nonce_is_used_once(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        assert nonces.use(connection, TENANT_ID, FIRST, NOON)
        assert nonces.use(connection, TENANT_ID, SECOND, NOON)
    with tenant_database.write() as connection:
        assert not nonces.use(connection, TENANT_ID, FIRST, NOON + timedelta(hours=1))


def test_of_many_in_parallel_one_uses_a_nonce(tenant_database: Database) -> None:
    def use(_: int) -> bool:
        with tenant_database.write() as connection:
            return nonces.use(connection, TENANT_ID, FIRST, NOON)

    with ThreadPoolExecutor(max_workers=10) as pool:
        assert list(pool.map(use, range(20))).count(True) == 1


def test_only_expired_nonces_are_forgotten(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        nonces.use(connection, TENANT_ID, FIRST, NOON)
        nonces.use(connection, TENANT_ID, SECOND, NOON + timedelta(seconds=1))
        assert nonces.remove_expired(connection, NOON) == 1
        assert not nonces.use(connection, TENANT_ID, SECOND, NOON)
        assert nonces.use(connection, TENANT_ID, FIRST, NOON)


def test_a_nonce_is_used_up_in_its_own_tenant(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        other = TenantId(counted_id("1", 1))
        tenants.add(connection, a_tenant(id=other, domain="other.example"))
        assert nonces.use(connection, TENANT_ID, FIRST, NOON)
        assert nonces.use(connection, other, FIRST, NOON)
        assert not nonces.use(connection, other, FIRST, NOON)
