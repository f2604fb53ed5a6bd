"""Tokens that are bound to a key, over a real TLS socket: addresses as the listener hands them on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.support.admin_socket import AdminSocket, admin_socket
from tests.support.gateway_world import Reply
from tests.support.possession import holder

from shieldwall.server.directory import apps

ME = holder()
GROUPS = "/v1.0/groups"


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminSocket]:
    with admin_socket(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def token(admin: AdminSocket) -> str:
    services = admin.world.services
    with services.database.write() as connection:
        acting = services.acting("console")
        app, secret = apps.create_app(connection, acting, display_name="Bound", permissions=("Group.Read.All",))
    target = f"/{services.tenant.id}/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": secret,
        "scope": "https://graph.microsoft.com/.default",
    }
    body = urlencode(form).encode()
    answer = admin.raw(
        "\r\n".join(
            [
                f"POST {target} HTTP/1.1",
                f"Host: {admin.authority}",
                "Content-Type: application/x-www-form-urlencoded",
                f"Content-Length: {len(body)}",
                f"DPoP: {proof(admin, target, method='POST')}",
                "",
                "",
            ]
        ).encode()
        + body
    )
    assert answer.status == 200, answer.body
    assert answer.json["token_type"] == "DPoP"
    return str(answer.json["access_token"])


def proof(admin: AdminSocket, path: str, method: str = "GET", **changes: Any) -> str:
    now = admin.world.services.clock.now().timestamp()
    return ME.prove(method, admin.world.settings.public_url + path, now, **changes)


def asked(admin: AdminSocket, token: str, target: str, *proofs: str) -> Reply:
    lines = [f"GET {target} HTTP/1.1", f"Host: {admin.authority}", f"Authorization: DPoP {token}"]
    return admin.raw("\r\n".join([*lines, *(f"DPoP: {each}" for each in proofs), "", ""]).encode())


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (GROUPS, GROUPS),
        (f"{GROUPS}?$top=1", GROUPS),
        (f"{GROUPS}/", f"{GROUPS}/"),
        ("/v1.0/gr%6fups", GROUPS),
        (GROUPS, "/v1.0/gr%6Fups"),
        ("/v1.0/GROUPS", "/v1.0/GROUPS"),
    ],
)
def test_a_proof_is_of_the_address_that_was_sent(admin: AdminSocket, token: str, target: str, path: str) -> None:
    assert asked(admin, token, target, proof(admin, path, token=token)).status == 200


def test_no_other_address_nor_number_of_proofs_is_taken(admin: AdminSocket, token: str) -> None:
    assert asked(admin, token, "/v1.0/GROUPS", proof(admin, GROUPS, token=token)).status == 401
    assert asked(admin, token, GROUPS, proof(admin, f"{GROUPS}?$top=1", token=token)).status == 401
    one, two = (proof(admin, GROUPS, token=token) for _ in range(2))
    assert asked(admin, token, GROUPS, one, two).status == 401
    assert asked(admin, token, GROUPS, f"{one}, {two}").status == 401
    assert asked(admin, token, GROUPS).status == 401
    assert asked(admin, token, GROUPS, one).status == 200
    assert asked(admin, token, GROUPS, one).status == 401
