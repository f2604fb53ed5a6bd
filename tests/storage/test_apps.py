from __future__ import annotations

import pytest
from tests.support.samples import NOON, TENANT_ID, counted_id

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.identity import apps
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.records import Page


def an_app(number: int) -> App:
    return App(
        client_id=counted_id("9", number),
        tenant_id=TENANT_ID,
        display_name=f"app-{number}",
        object_id=counted_id("8", number),
        permissions=("Device.Read.All", "Group.Read.All"),
        redirect_uris=("http://localhost",),
        created_at=NOON,
        valid_from=NOON,
    )


def test_apps_come_back_as_they_were_kept_and_go(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        for number in (2, 1):
            apps.add(connection, an_app(number))
    with tenant_database.write() as connection:
        assert apps.get(connection, an_app(1).client_id) == an_app(1)
        assert apps.list_apps(connection, TENANT_ID, Page(size=1)) == (an_app(1),)
        assert apps.list_apps(connection, TENANT_ID, Page(after=an_app(1).client_id)) == (an_app(2),)
        apps.remove(connection, an_app(1).client_id)
        assert apps.find(connection, an_app(1).client_id) is None
        assert apps.find(connection, an_app(2).client_id) == an_app(2)
        for failing in (apps.get, apps.remove):
            with pytest.raises(NotFoundError):
                failing(connection, an_app(1).client_id)


def test_a_client_id_is_taken_once(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        apps.add(connection, an_app(1))
    with pytest.raises(AlreadyExistsError), tenant_database.write() as connection:
        apps.add(connection, an_app(1))


def test_the_hash_of_a_secret_is_not_shown() -> None:
    assert "argon2id" not in repr(an_app(1))
