"""Applications in Graph's shape, and that nobody gets more through one than they may give."""

from __future__ import annotations

import base64
from contextlib import closing
from typing import Any

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.identity_clients import TOKEN, asked_with, certified, statement

from shieldwall.server.directory.first_party import cli_client_id, ensure_cli
from shieldwall.server.storage.identity import apps
from shieldwall.server.storage.identity_records import App

PATH = "/v1.0/applications"
PRINCIPALS = "/v1.0/servicePrincipals"


def new(name: str = "Tool", *permissions: str, **more: Any) -> dict[str, Any]:
    return {"displayName": name, "shieldwall": {"permissions": list(permissions)}, **more}


def status_of_token(client: Client, app: dict[str, Any], secret: str) -> int:
    form = {
        "grant_type": "client_credentials",
        "client_id": app["appId"],
        "client_secret": secret,
        "scope": f"{PUBLIC_URL}/.default",
    }
    return client.post(TOKEN, data=form).status_code


def test_an_application_lives_from_its_making_to_its_end(world: AdminWorld, graph: Client) -> None:
    made = graph.post(PATH, json=new("Tool", "Group.Read.All"))
    assert made.status_code == 201, made.text
    app = made.json()
    one = f"{PATH}/{app['id']}"
    assert graph.get(one).json()["displayName"] == "Tool"
    assert graph.get(f"{PATH}(appId='{app['appId']}')").json()["id"] == app["id"]
    assert app["id"] in {each["id"] for each in graph.get(f"{PATH}?$filter=displayName eq 'tool'").json()["value"]}

    secret = graph.post(f"{one}/addPassword", json={"passwordCredential": {"displayName": "CI"}}).json()
    assert len(secret["secretText"]) == 43
    assert secret["hint"] == secret["secretText"][:3]
    (kept,) = graph.get(one).json()["passwordCredentials"]
    assert (kept["keyId"], kept["secretText"]) == (secret["keyId"], None)
    anybody = world.client()
    assert status_of_token(anybody, app, secret["secretText"]) == 200

    assert graph.patch(one, json={"displayName": "Better tool"}).status_code == 204
    assert graph.patch(one, json={"shieldwall": {"enabled": False}}).status_code == 204
    assert status_of_token(anybody, app, secret["secretText"]) == 401
    assert graph.patch(one, json={"shieldwall": {"enabled": True}}).status_code == 204
    assert status_of_token(anybody, app, secret["secretText"]) == 200
    assert graph.post(f"{one}/removePassword", json={"keyId": secret["keyId"]}).status_code == 204
    assert status_of_token(anybody, app, secret["secretText"]) == 401
    assert graph.delete(one).status_code == 204
    assert graph.get(one).status_code == 404


def test_a_secret_ends_when_it_was_told_to(world: AdminWorld, graph: Client) -> None:
    app = graph.post(PATH, json=new("Tool", "Group.Read.All")).json()
    span = {"startDateTime": "2026-11-23T13:00:00Z", "endDateTime": "2026-11-23T14:00:00+00:00"}
    where = f"{PATH}/{app['id']}/addPassword"
    secret = graph.post(where, json={"passwordCredential": span}).json()["secretText"]
    anybody = world.client()
    found = []
    for _ in range(3):
        found.append(status_of_token(anybody, app, secret))
        world.clock.advance(hours=1)
    assert found == [401, 200, 401]


def test_certificates_are_replaced_as_a_whole(world: AdminWorld, graph: Client) -> None:
    one, two = certified("RSA"), certified("EC")
    keys = [{"key": base64.b64encode(each.certificate).decode()} for each in (one, two)]
    made = graph.post(PATH, json=new("Tool", "Group.Read.All", keyCredentials=keys))
    assert made.status_code == 201, made.text
    shown = made.json()["keyCredentials"]
    assert len(shown) == 2
    where = f"{PATH}/{made.json()['id']}"
    thumbprint = base64.b64decode(shown[0]["customKeyIdentifier"])
    kept = one if base64.urlsafe_b64decode(one.thumbprints["x5t"] + "=") == thumbprint else two

    assert graph.patch(where, json={"keyCredentials": [{"keyId": shown[0]["keyId"]}]}).status_code == 204

    assert [each["keyId"] for each in graph.get(where).json()["keyCredentials"]] == [shown[0]["keyId"]]
    with world.services.database.read() as connection:
        app = apps.find(connection, made.json()["appId"])
    assert app is not None
    world.clock.advance(seconds=1)
    for number, each in enumerate((one, two)):
        algorithm = {"alg": "RS256" if each is one else "ES256"}
        said = asked_with(each.sign(algorithm, statement(world, app, jti=str(number))))
        assert world.client().post(TOKEN, data=said).status_code == (200 if each is kept else 401)


def test_permissions_are_named_by_the_ids_that_the_api_lists(embedded_graph: Client) -> None:
    found = embedded_graph.get(f"{PRINCIPALS}(appId='00000003-0000-0000-c000-000000000000')").json()
    role = next(each["id"] for each in found["appRoles"] if each["value"] == "Group.Read.All")
    scope = next(each["id"] for each in found["oauth2PermissionScopes"] if each["value"] == "Device.Read.All")
    wanted = [
        {
            "resourceAppId": found["appId"],
            "resourceAccess": [{"id": role, "type": "Role"}, {"id": scope, "type": "Scope"}],
        }
    ]

    made = embedded_graph.post(PATH, json={"displayName": "Tool", "requiredResourceAccess": wanted}).json()

    assert made["shieldwall"]["permissions"] == ["Group.Read.All"]
    assert made["shieldwall"]["delegatedPermissions"] == ["Device.Read.All"]
    assert made["requiredResourceAccess"] == wanted
    principal = embedded_graph.get(f"{PRINCIPALS}/{made['appId']}").json()
    assert (principal["id"], principal["appId"]) == (made["appId"], made["appId"])
    (assigned,) = embedded_graph.get(f"{PRINCIPALS}/{made['appId']}/appRoleAssignments").json()["value"]
    assert (assigned["appRoleId"], assigned["resourceId"]) == (role, found["id"])
    listed = embedded_graph.get(f"{PRINCIPALS}?$filter=displayName eq 'Microsoft Graph'").json()["value"]
    assert [each["id"] for each in listed] == [found["id"]]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"displayName": ""},
        {"displayName": "x", "unknown": 1},
        {"displayName": "x", "shieldwall": {"permissions": ["Everything.All"]}},
        {"displayName": "x", "signInAudience": "AzureADMultipleOrgs"},
        {"displayName": "x", "web": {"redirectUris": ["http://tool.example"]}},
        {"displayName": "x", "web": {"redirectUris": ["https://tool.example/*"]}},
        {"displayName": "x", "web": {"redirectUris": ["https://a@tool.example"]}},
        {"displayName": "x", "web": {"redirectUris": ["https://tool.example#x"]}},
        {"displayName": "x", "web": {"redirectUris": ["javascript:alert(1)"]}},
        {"displayName": "x", "web": {"redirectUris": ["https://x"]}, "publicClient": {"redirectUris": ["https://y"]}},
        {"displayName": "x", "keyCredentials": [{"key": "!"}]},
        {"displayName": "x", "keyCredentials": [{"key": "AAAA"}]},
        {"displayName": "x", "passwordCredentials": [{"secretText": "mine"}]},
        {"displayName": "x", "appId": "00000000-0000-4000-8000-000000000000"},
    ],
    ids=str,
)
def test_an_application_that_cannot_be_is_refused(embedded_graph: Client, body: dict[str, Any]) -> None:
    assert embedded_graph.post(PATH, json=body).status_code == 400


def test_nobody_gives_an_application_more_than_they_may_give(world: AdminWorld, graph: Client) -> None:
    strong = graph.post(PATH, json=new("Strong", "Group.ReadWrite.All")).json()
    weak = graph.post(PATH, json=new("Weak")).json()
    with closing(world.application_client("Application.ReadWrite.All", "Group.Read.All")) as maker:
        refused = [
            maker.post(PATH, json=new("More", "Group.ReadWrite.All")),
            maker.post(PATH, json={"displayName": "More", "shieldwall": {"delegatedPermissions": ["Device.Read.All"]}}),
            maker.patch(f"{PATH}/{weak['id']}", json={"shieldwall": {"permissions": ["Group.ReadWrite.All"]}}),
            maker.post(f"{PATH}/{strong['id']}/addPassword", json={}),
            maker.patch(f"{PATH}/{strong['id']}", json={"web": {"redirectUris": ["https://evil.example"]}}),
            maker.patch(
                f"{PATH}/{strong['id']}",
                json={"keyCredentials": [{"key": base64.b64encode(certified("EC").certificate).decode()}]},
            ),
            maker.patch(f"{PATH}/{strong['id']}", json={"shieldwall": {"permissions": []}}),
        ]
        told = [(each.status_code, each.json()["error"]["innerError"]["code"]) for each in refused]
        assert told == [(403, "beyondMaker")] * 7
        assert maker.post(PATH, json=new("Less", "Group.Read.All")).status_code == 201
        assert maker.patch(f"{PATH}/{strong['id']}", json={"shieldwall": {"enabled": False}}).status_code == 204
        assert maker.patch(f"{PATH}/{strong['id']}", json={"shieldwall": {"enabled": True}}).status_code == 403
    with closing(world.application_client("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All")) as giver:
        assert giver.post(PATH, json=new("More", "Group.ReadWrite.All")).status_code == 201
    assert graph.get(f"{PATH}/{weak['id']}").json()["shieldwall"]["permissions"] == []


def test_our_own_command_line_can_be_switched_off_and_nothing_else(world: AdminWorld, graph: Client) -> None:
    with world.writing() as connection:
        cli: App = ensure_cli(connection, world.services.acting("console"))
    where = f"{PATH}(appId='{cli_client_id(cli.tenant_id)}')"
    assert graph.patch(where, json={"web": {"redirectUris": ["https://evil.example"]}}).status_code == 400
    assert graph.post(f"{PATH}/{cli.object_id}/addPassword", json={}).status_code == 400
    assert graph.patch(where, json={"shieldwall": {"enabled": False}}).status_code == 204
    assert graph.get(where).json()["shieldwall"]["enabled"] is False


def test_an_application_ends_the_sign_ins_of_a_person(world: AdminWorld, graph: Client) -> None:
    browser = world.client()
    world.sign_in(browser)
    assert browser.get("/").status_code == 200
    world.clock.advance(seconds=1)
    user = next(each for each in graph.get("/v1.0/users").json()["value"] if each["displayName"] == "Ada")

    answer = graph.post(f"/v1.0/users/{user['id']}/revokeSignInSessions")

    assert (answer.status_code, answer.json()["value"]) == (200, True)
    assert browser.get("/").headers["location"].startswith("/sign-in")
    assert graph.post("/v1.0/me/revokeSignInSessions").status_code == 400
