"""Signing in where there is no browser: only where it is switched on, and only by somebody who says yes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import GROUPS
from tests.support.identity_clients import TOKEN, public_app
from tests.support.samples import TENANT_ID

from shieldwall.server.configuration.settings_file import IdentitySettings
from shieldwall.server.storage.identity_records import App

START = f"/{TENANT_ID}/oauth2/v2.0/devicecode"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "https://graph.microsoft.com/.default openid"


@pytest.fixture
def switched_on(world: AdminWorld) -> AdminWorld:
    settings = replace(world.services.settings, identity=IdentitySettings(device_code=True))
    return AdminWorld(services=replace(world.services, settings=settings), clock=world.clock, signer=world.signer)


def ask(client: Client, app: App, code: str) -> str:
    answer = client.post(TOKEN, data={"grant_type": GRANT, "client_id": app.client_id, "device_code": code})
    return str(answer.json().get("error", "token"))


def typed(browser: Client, code: str, decision: str) -> str:
    csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', browser.get("/device").text)[-1]
    form = {"csrf": csrf, "user_code": code, "decision": decision}
    return browser.post("/device", data=form, headers={"Origin": PUBLIC_URL}).text


def test_it_is_off_until_somebody_switches_it_on(world: AdminWorld) -> None:
    app = public_app(world)
    client = world.client()
    assert (
        "device_authorization_endpoint" not in client.get(f"/{TENANT_ID}/v2.0/.well-known/openid-configuration").json()
    )
    assert (
        client.post(START, data={"client_id": app.client_id, "scope": SCOPE}).json()["error"] == "unauthorized_client"
    )
    assert ask(client, app, "x") == "unsupported_grant_type"
    world.sign_in(client)
    assert client.get("/device").status_code == 404


def test_a_program_gets_in_once_the_person_said_yes(switched_on: AdminWorld) -> None:
    world = switched_on
    app = public_app(world)
    client, browser = world.client(), world.client()
    started = client.post(START, data={"client_id": app.client_id, "scope": SCOPE}).json()
    assert started["verification_uri"] == f"{PUBLIC_URL}/device"
    assert ask(client, app, started["device_code"]) == "slow_down"
    world.clock.advance(seconds=5)
    assert ask(client, app, started["device_code"]) == "authorization_pending"
    world.sign_in(browser)
    shown = typed(browser, started["user_code"].lower(), "")
    assert "Desk tool" in shown
    assert ask(client, public_app(world), started["device_code"]) == "bad_verification_code"

    typed(browser, f"{started['user_code'][:4]}-{started['user_code'][4:]}", "yes")

    world.clock.advance(seconds=5)
    form = {"grant_type": GRANT, "client_id": app.client_id, "device_code": started["device_code"]}
    body = client.post(TOKEN, data=form).json()
    assert client.get(GROUPS, headers={"Authorization": f"Bearer {body['access_token']}"}).status_code == 200
    assert ask(client, app, started["device_code"]) == "bad_verification_code"


@pytest.mark.parametrize(
    ("decision", "minutes", "error"), [("no", 1, "authorization_declined"), ("", 10, "expired_token")]
)
def test_a_program_is_told_that_it_gets_nothing(
    switched_on: AdminWorld, decision: str, minutes: int, error: str
) -> None:
    app = public_app(switched_on)
    client, browser = switched_on.client(), switched_on.client()
    started = client.post(START, data={"client_id": app.client_id, "scope": SCOPE}).json()
    switched_on.sign_in(browser)
    typed(browser, started["user_code"], decision)
    switched_on.clock.advance(minutes=minutes)

    assert ask(client, app, started["device_code"]) == error
    if minutes > 1:
        switched_on.sign_in(browser)
        assert "may have ended" in typed(browser, started["user_code"], "yes")
