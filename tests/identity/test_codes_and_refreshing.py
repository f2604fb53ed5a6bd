"""What codes and refresh tokens are exchanged for, how often, and all that ends them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import GROUPS
from tests.support.identity_clients import (
    AUTHORIZE,
    LOOPBACK,
    TOKEN,
    VERIFIER,
    agree,
    asking,
    bearer,
    claims_of,
    code_for,
    exchange,
    public_app,
    refreshed,
    tokens_of,
    told,
)
from tests.support.samples import TENANT_ID

from shieldwall.server.directory import app_credentials, apps, people
from shieldwall.server.directory.authorization_codes import challenge_of
from shieldwall.server.directory.first_party import CLI_CLIENT_ID

ISSUER = f"{PUBLIC_URL}/{TENANT_ID}/v2.0"

BAD_EXCHANGES: dict[str, tuple[dict[str, str | None], int, str]] = {
    "another code": ({"code": "x" * 43}, 400, "invalid_grant"),
    "no code": ({"code": None}, 400, "invalid_request"),
    "a long code": ({"code": "x" * 10_000}, 400, "invalid_grant"),
    "another verifier": ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
    "the challenge as the verifier": ({"code_verifier": challenge_of(VERIFIER)}, 400, "invalid_grant"),
    "no verifier": ({"code_verifier": None}, 400, "invalid_request"),
    "another address": ({"redirect_uri": "http://localhost:49153"}, 400, "invalid_grant"),
    "no address": ({"redirect_uri": None}, 400, "invalid_request"),
    "nobody": ({"client_id": None}, 401, "invalid_client"),
    "a secret that a public application has not": ({"client_secret": "x"}, 401, "invalid_client"),
}


@pytest.mark.parametrize(("changes", "status", "error"), BAD_EXCHANGES.values(), ids=BAD_EXCHANGES)
def test_a_code_is_exchanged_by_who_asked_for_it_alone(
    embedded: AdminWorld, changes: dict[str, str | None], status: int, error: str
) -> None:
    app = public_app(embedded)
    code = code_for(embedded, app)
    client = embedded.client()

    answer = client.post(TOKEN, data=exchange(app, code, **changes))

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert client.post(TOKEN, data=exchange(app, code)).status_code == 200  # whoever tried spent nothing


def test_another_application_cannot_exchange_a_code(world: AdminWorld) -> None:
    app, other = public_app(world), public_app(world)
    code = code_for(world, app)

    assert world.client().post(TOKEN, data=exchange(other, code)).json()["error"] == "invalid_grant"


def test_a_code_ends_after_a_minute(world: AdminWorld) -> None:
    app = public_app(world)
    code = code_for(world, app)
    world.clock.advance(seconds=60)

    assert world.client().post(TOKEN, data=exchange(app, code)).json()["error"] == "invalid_grant"


def test_a_code_that_comes_twice_takes_back_what_it_gave(world: AdminWorld) -> None:
    app = public_app(world)
    code = code_for(world, app)
    client = world.client()
    first = client.post(TOKEN, data=exchange(app, code)).json()

    assert client.post(TOKEN, data=exchange(app, code)).json()["error"] == "invalid_grant"
    assert client.post(TOKEN, data=refreshed(app, first["refresh_token"])).json()["error"] == "invalid_grant"


def test_refresh_tokens_turn_over_and_one_that_comes_twice_ends_its_family(world: AdminWorld) -> None:
    app = public_app(world)
    client = world.client()
    first = tokens_of(world, app)["refresh_token"]
    world.clock.advance(minutes=30)
    second = client.post(TOKEN, data=refreshed(app, first)).json()
    assert claims_of(world, second["access_token"])["auth_time"] == int(world.clock.now().timestamp()) - 1800
    assert second["refresh_token"] != first

    assert client.post(TOKEN, data=refreshed(app, first)).json()["error"] == "invalid_grant"
    assert client.post(TOKEN, data=refreshed(app, second["refresh_token"])).json()["error"] == "invalid_grant"


def test_a_refresh_token_ends(world: AdminWorld) -> None:
    app = public_app(world)
    client = world.client()
    token = tokens_of(world, app)["refresh_token"]
    for _ in range(14):
        world.clock.advance(hours=23)
        token = client.post(TOKEN, data=refreshed(app, token)).json()["refresh_token"]
    world.clock.advance(hours=15)
    assert client.post(TOKEN, data=refreshed(app, token)).json()["error"] == "invalid_grant"

    other = tokens_of(world, app)["refresh_token"]
    world.clock.advance(hours=24)
    assert client.post(TOKEN, data=refreshed(app, other)).json()["error"] == "invalid_grant"


def test_a_refresh_never_widens_what_was_granted(embedded: AdminWorld) -> None:
    app = public_app(embedded, "Group.Read.All", "Device.Read.All")
    token = tokens_of(embedded, app)["refresh_token"]
    client = embedded.client()
    wider = refreshed(app, token, scope="https://graph.microsoft.com/Device.Read.All")
    assert client.post(TOKEN, data=wider).json()["error"] == "invalid_scope"

    default = refreshed(app, token, scope="https://graph.microsoft.com/.default")
    body = client.post(TOKEN, data=default).json()  # the one before spent nothing

    assert "Device.Read.All" not in claims_of(embedded, body["access_token"])["scp"]


def test_only_the_person_brings_a_newer_proof(world: AdminWorld) -> None:
    app = public_app(world)
    client = world.client()
    token = tokens_of(world, app)["refresh_token"]
    claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    first = client.post(TOKEN, data=refreshed(app, token, claims=claims))
    assert first.status_code == 200
    world.clock.advance(minutes=11)

    refused = client.post(TOKEN, data=refreshed(app, first.json()["refresh_token"], claims=claims))

    assert (refused.status_code, refused.json()["error"]) == (400, "interaction_required")
    assert json.loads(refused.json()["claims"])["access_token"]["acrs"]["value"] == "c1"
    assert client.post(TOKEN, data=refreshed(app, first.json()["refresh_token"])).status_code == 200


def test_a_refresh_token_is_revoked_by_its_application(world: AdminWorld) -> None:
    app, other = public_app(world), public_app(world)
    token = tokens_of(world, app)["refresh_token"]
    client = world.client()
    where = f"/{TENANT_ID}/oauth2/v2.0/revoke"
    for asks, status in ((other, 200), (app, 200)):
        assert client.post(where, data={"client_id": asks.client_id, "token": token}).status_code == status
        if asks is other:
            token = client.post(TOKEN, data=refreshed(app, token)).json()["refresh_token"]
    assert client.post(TOKEN, data=refreshed(app, token)).json()["error"] == "invalid_grant"


def nbf_of(answer: Any) -> int:
    challenge = answer.headers["www-authenticate"]
    found = re.search(r'error="insufficient_claims", claims="([A-Za-z0-9+/=]+)"', challenge)
    assert found, challenge
    return int(json.loads(base64.b64decode(found[1]))["access_token"]["nbf"]["value"])


def test_ending_a_persons_sign_ins_ends_tokens_and_a_new_one_is_good_in_the_same_second(world: AdminWorld) -> None:
    app = public_app(world)
    body = tokens_of(world, app)
    client = world.client()
    world.clock.advance(milliseconds=300)
    with world.writing() as connection:
        person = people.named(connection, world.services.tenant, "ada")
        assert person is not None
        people.end_sessions(connection, world.services.acting("console"), person)

    answer = client.get(GROUPS, headers=bearer(body))

    assert answer.status_code == 401
    assert nbf_of(answer) >= world.clock.now().timestamp()
    assert client.post(TOKEN, data=refreshed(app, body["refresh_token"])).json()["error"] == "invalid_grant"
    world.clock.advance(milliseconds=100)
    anew = tokens_of(world, app)
    assert claims_of(world, anew["access_token"])["iat"] >= nbf_of(answer)
    assert client.get(GROUPS, headers=bearer(anew)).status_code == 200


@pytest.mark.parametrize("end", ["disabled", "deleted", "tokens revoked"])
def test_tokens_end_with_their_application(world: AdminWorld, end: str) -> None:
    app = public_app(world)
    body = tokens_of(world, app)
    world.clock.advance(seconds=1)
    with world.writing() as connection:
        acting = world.services.acting("console")
        match end:
            case "disabled":
                apps.change_app(connection, acting, app, enabled=False)
            case "deleted":
                apps.delete_app(connection, acting, app.client_id)
            case _:
                apps.revoke_tokens(connection, acting, app)
    client = world.client()

    assert client.get(GROUPS, headers=bearer(body)).status_code == 401
    assert client.post(TOKEN, data=refreshed(app, body["refresh_token"])).status_code in {400, 401}


def test_the_command_line_is_known_in_every_tenant(world: AdminWorld) -> None:
    browser = world.client()
    world.sign_in(browser)
    where = f"{AUTHORIZE}?" + "&".join(
        f"{name}={value}"
        for name, value in {
            "client_id": CLI_CLIENT_ID,
            "response_type": "code",
            "redirect_uri": LOOPBACK,
            "scope": f"{PUBLIC_URL}/.default",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }.items()
    )
    code = told(agree(browser, where))["code"]
    form = exchange(public_app(world), code, client_id=CLI_CLIENT_ID)

    body = world.client().post(TOKEN, data=form).json()

    assert "DeviceManagementConfiguration.ReadWrite.All" in claims_of(world, body["access_token"])["scp"]
    assert world.client().get(GROUPS, headers=bearer(body)).status_code == 200


def test_an_application_with_a_secret_shows_it_to_exchange_a_code(world: AdminWorld) -> None:
    with world.writing() as connection:
        acting = world.services.acting("console")
        app = apps.register_app(
            connection,
            acting,
            display_name="Web tool",
            delegated=("Group.Read.All",),
            redirect_uris=("https://tool.example/back",),
        )
        _, secret = app_credentials.add_secret(connection, acting, app, display_name="One")
    code = code_for(world, app, redirect_uri="https://tool.example/back")
    client: Client = world.client()
    bare = exchange(app, code, redirect_uri="https://tool.example/back")
    assert client.post(TOKEN, data=bare).json()["error"] == "invalid_client"

    assert client.post(TOKEN, data=bare | {"client_secret": secret}).status_code == 200


def test_a_public_application_never_speaks_for_itself(embedded: AdminWorld) -> None:
    app = public_app(embedded)
    form = {"grant_type": "client_credentials", "client_id": app.client_id, "scope": f"{PUBLIC_URL}/.default"}

    assert embedded.client().post(TOKEN, data=form).json()["error"] == "unauthorized_client"


@pytest.mark.parametrize(
    "grant",
    [
        "password",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "implicit",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
    ],
)
def test_no_other_grant_is_offered(embedded: AdminWorld, grant: str) -> None:
    form = asking(public_app(embedded)) | {"grant_type": grant, "username": "ada", "password": "x", "assertion": "x"}

    assert embedded.client().post(TOKEN, data=form).json()["error"] == "unsupported_grant_type"
