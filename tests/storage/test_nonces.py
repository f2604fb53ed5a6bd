from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from tests.support.samples import NOON

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage import nonces
from shieldwall.server.storage.database import Database

FIRST, SECOND = digest_of_bytes(b"first"), digest_of_bytes(b"second")


def test_a_nonce_is_used_once(database: Database) -> None:
    with database.write() as connection:
        assert nonces.use(connection, FIRST, NOON)
        assert nonces.use(connection, SECOND, NOON)
    with database.write() as connection:
        assert not nonces.use(connection, FIRST, NOON + timedelta(hours=1))


def test_of_many_in_parallel_one_uses_a_nonce(database: Database) -> None:
    def use(_: int) -> bool:
        with database.write() as connection:
            return nonces.use(connection, FIRST, NOON)

    with ThreadPoolExecutor(max_workers=10) as pool:
        assert list(pool.map(use, range(20))).count(True) == 1


def test_only_expired_nonces_are_forgotten(database: Database) -> None:
    with database.write() as connection:
        nonces.use(connection, FIRST, NOON)
        nonces.use(connection, SECOND, NOON + timedelta(seconds=1))
        assert nonces.remove_expired(connection, NOON) == 1
        assert not nonces.use(connection, SECOND, NOON)
        assert nonces.use(connection, FIRST, NOON)
