from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection
from tests.support.office import Office
from tests.support.samples import NOON, TENANT_ID, a_tenant, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory import apps
from shieldwall.server.directory.apps import InvalidAppError, InvalidClientError
from shieldwall.server.storage import app_credentials, tenants
from shieldwall.server.storage import apps as app_store
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.records import Page


def create(connection: Connection, office: Office, **changes: object) -> tuple[App, str]:
    fields: dict[str, object] = {"display_name": "CI", "permissions": ("Group.Read.All", "Device.Read.All")}
    return apps.create_app(connection, office.acting, **(fields | changes))  # type: ignore[arg-type]  # built above


def test_an_app_is_known_by_its_secret_until_that_expires(connection: Connection, office: Office) -> None:
    app, secret = create(connection, office, lifetime=timedelta(days=1))
    assert app.permissions == ("Device.Read.All", "Group.Read.All")
    almost = NOON + timedelta(days=1, seconds=-1)
    assert apps.authenticate_app(connection, TENANT_ID, app.client_id, secret, now=almost) == app
    with pytest.raises(InvalidClientError):
        apps.authenticate_app(connection, TENANT_ID, app.client_id, secret, now=NOON + timedelta(days=1))


def test_the_secret_is_kept_nowhere(connection: Connection, office: Office) -> None:
    app, secret = create(connection, office)
    (kept,) = app_credentials.of_app(connection, app.client_id)
    assert kept.secret_hash is not None
    assert kept.secret_hash.startswith("$argon2id$")
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
            apps.authenticate_app(connection, TENANT_ID, client_id, tried, now=NOON)
        said.add((refused.value.code, refused.value.cause, refused.value.advice))
    assert len(said) == 1


def test_an_unknown_app_costs_the_same_hash_as_a_known_one(
    connection: Connection, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _ = create(connection, office)
    verified: list[str] = []

    def refuse(kept: str, _: str) -> bool:
        verified.append(kept)
        return False

    monkeypatch.setattr(apps, "_verified", refuse)
    for client_id in (app.client_id, counted_id("9", 9)):
        with pytest.raises(InvalidClientError):
            apps.authenticate_app(connection, TENANT_ID, client_id, "x", now=NOON)
    parameters = [kept.rsplit("$", 2)[0] for kept in verified]
    assert parameters[0] == parameters[1]


def test_two_secrets_are_never_the_same() -> None:
    assert len({apps.new_secret() for _ in range(100)}) == 100


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
        apps.authenticate_app(connection, TENANT_ID, app.client_id, secret, now=NOON)
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
