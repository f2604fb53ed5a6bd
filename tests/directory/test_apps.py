from __future__ import annotations

from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Connection
from tests.support.office import Office
from tests.support.samples import NOON, TENANT_ID, a_tenant, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory import app_credentials, apps
from shieldwall.server.directory.app_credentials import InvalidClientError
from shieldwall.server.directory.invalid_app import InvalidAppError
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity import app_credentials as kept_credentials
from shieldwall.server.storage.identity import apps as app_store
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import tenants


def create(connection: Connection, office: Office, **changes: object) -> tuple[App, str]:
    fields: dict[str, object] = {"display_name": "CI", "permissions": ("Group.Read.All", "Device.Read.All")}
    return apps.create_app(connection, office.acting, **(fields | changes))  # type: ignore[arg-type]  # built above


def test_an_app_is_known_by_its_secret_until_that_expires(connection: Connection, office: Office) -> None:
    app, secret = create(connection, office, lifetime=timedelta(days=1))
    assert app.permissions == ("Device.Read.All", "Group.Read.All")
    almost = NOON + timedelta(days=1, seconds=-1)
    assert app_credentials.authenticate_by_secret(connection, TENANT_ID, app.client_id, secret, now=almost).app == app
    with pytest.raises(InvalidClientError):
        app_credentials.authenticate_by_secret(
            connection, TENANT_ID, app.client_id, secret, now=NOON + timedelta(days=1)
        )


def test_the_secret_is_kept_nowhere(connection: Connection, office: Office) -> None:
    app, secret = create(connection, office)
    (kept,) = kept_credentials.of_app(connection, app.client_id)
    assert kept.secret_hash is not None
    assert kept.secret_hash.startswith("$sha256$")
    assert secret not in kept.secret_hash
    assert all(secret not in event.details for event in office.trail(connection))


def test_every_failure_looks_the_same(connection: Connection, office: Office) -> None:
    app, secret = create(connection, office)
    said = set()
    for client_id, tried in [
        (app.client_id, secret + "x"),
        (app.client_id, ""),
        (app.client_id, secret * 100),
        (counted_id("9", 9), secret),
        ("'; DROP TABLE apps; --", secret),
    ]:
        with pytest.raises(InvalidClientError) as refused:
            app_credentials.authenticate_by_secret(connection, TENANT_ID, client_id, tried, now=NOON)
        said.add((refused.value.code, refused.value.cause, refused.value.advice))
    assert len(said) == 1


def test_a_secret_that_was_hashed_slowly_is_hashed_anew_once_it_is_shown(
    connection: Connection, office: Office
) -> None:
    app, secret = create(connection, office)
    (kept,) = kept_credentials.of_app(connection, app.client_id)
    slow = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(secret)
    kept_credentials.change_secret_hash(connection, kept, slow)
    with pytest.raises(InvalidClientError):
        app_credentials.authenticate_by_secret(connection, TENANT_ID, app.client_id, secret + "x", now=NOON)

    found = app_credentials.authenticate_by_secret(connection, TENANT_ID, app.client_id, secret, now=NOON)
    assert found.outdated is not None
    app_credentials.hash_anew(connection, found.outdated, secret)

    again = app_credentials.authenticate_by_secret(connection, TENANT_ID, app.client_id, secret, now=NOON)
    assert (again.app, again.outdated) == (app, None)
    with pytest.raises(InvalidClientError):
        app_credentials.authenticate_by_secret(connection, TENANT_ID, app.client_id, slow, now=NOON)


def test_two_secrets_are_never_the_same() -> None:
    assert len({app_credentials.new_secret() for _ in range(100)}) == 100


def test_an_app_goes_and_only_its_own_tenant_can_let_it_go(connection: Connection, office: Office) -> None:
    app, secret = create(connection, office)
    other = TenantId(counted_id("1", 1))
    tenants.add(connection, a_tenant(id=other, domain="other.example"))
    assert apps.list_apps(connection, other, Page()) == ()
    foreign = App(
        **{name: getattr(app, name) for name in app.__slots__}
        | {"client_id": "x", "object_id": "x", "tenant_id": other}
    )
    app_store.add(connection, foreign)
    with pytest.raises(NotFoundError):
        apps.delete_app(connection, office.acting, "x")
    apps.delete_app(connection, office.acting, app.client_id)
    with pytest.raises(InvalidClientError):
        app_credentials.authenticate_by_secret(connection, TENANT_ID, app.client_id, secret, now=NOON)
    assert apps.list_apps(connection, TENANT_ID, Page()) == ()


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"display_name": " "}, "displayName"),
        ({"permissions": ()}, "permissions"),
        ({"permissions": ("Device.Read.All", "everything")}, "permissions"),
        ({"lifetime": timedelta(0)}, "lifetime"),
        ({"lifetime": timedelta(days=731)}, "lifetime"),
    ],
)
def test_an_app_that_cannot_be_is_refused(
    connection: Connection, office: Office, changes: dict[str, object], member: str
) -> None:
    with pytest.raises(InvalidAppError) as refused:
        create(connection, office, **changes)
    assert refused.value.member == member
