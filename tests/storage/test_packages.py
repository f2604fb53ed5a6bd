from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.support.samples import NOON, TENANT_ID, a_package, package_id

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import Page


def test_packages_come_back_as_they_were_kept(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        packages.add(connection, a_package(2, tags=()))
        packages.add(connection, a_package(1, revoked_at=NOON))
        with pytest.raises(NotFoundError):
            packages.get(connection, package_id(3))
    with tenant_database.read() as connection:
        assert packages.get(connection, package_id(1)) == a_package(1, revoked_at=NOON)
        assert packages.find(connection, package_id(2)) == a_package(2, tags=())
        assert packages.find(connection, package_id(3)) is None
        assert [found.id for found in packages.list_packages(connection, TENANT_ID, Page(size=1))] == [package_id(1)]
        after = Page(after=package_id(1))
        assert [found.id for found in packages.list_packages(connection, TENANT_ID, after)] == [package_id(2)]


def test_a_package_id_is_taken_once(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        packages.add(connection, a_package())
    with pytest.raises(AlreadyExistsError), tenant_database.write() as connection:
        packages.add(connection, a_package())


def test_the_key_of_a_package_is_not_shown() -> None:
    assert "kkkk" not in repr(a_package())


def test_uses_are_counted_up_to_the_last(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        packages.add(connection, a_package(1, max_uses=2))
        packages.add(connection, a_package(2))
        assert [packages.take_use(connection, package_id(1)) for _ in range(3)] == [True, True, False]
        assert packages.get(connection, package_id(1)).uses == 2
        assert packages.get(connection, package_id(2)).uses == 0
        assert not packages.take_use(connection, package_id(9))


def test_fifty_in_parallel_use_a_package_exactly_as_often_as_it_allows(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        packages.add(connection, a_package(1, max_uses=500, uses=493))

    def redeem(_: int) -> bool:
        with tenant_database.write() as connection:
            return packages.take_use(connection, package_id(1))

    with ThreadPoolExecutor(max_workers=15) as pool:
        taken = list(pool.map(redeem, range(50)))
    with tenant_database.read() as connection:
        assert packages.get(connection, package_id(1)).uses == 500
    assert taken.count(True) == 7


def test_a_revoked_package_has_no_use_left_and_keeps_its_date(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        packages.add(connection, a_package(1))
        packages.revoke(connection, package_id(1), NOON)
        packages.revoke(connection, package_id(1), NOON + timedelta(days=1))
        assert not packages.take_use(connection, package_id(1))
        assert packages.get(connection, package_id(1)).revoked_at == NOON
        with pytest.raises(NotFoundError):
            packages.revoke(connection, package_id(9), NOON)
