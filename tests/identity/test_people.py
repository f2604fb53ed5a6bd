"""People who sign in to applications: the page, the code, tokens that are refreshed, and all that ends them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import GROUPS
from tests.support.identity_clients import (
    AUTHORIZE,
    GROUPS_READ,
    LOOPBACK,
    TOKEN,
    VERIFIER,
    address,
    agree,
    asking,
    code_for,
    exchange,
    public_app,
    query_of,
    told,
)
from tests.support.samples import TENANT_ID

from shieldwall.server.directory import app_credentials, apps, people
from shieldwall.server.directory.authorization_codes import challenge_of
from shieldwall.server.directory.first_party import CLI_CLIENT_ID
from shieldwall.server.storage.identity_records import App

ISSUER = f"{PUBLIC_URL}/{TENANT_ID}/v2.0"


def claims_of(world: AdminWorld, token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, KeySet.import_key_set({"keys": world.signer.jwks()["keys"]})).claims)


def tokens_of(world: AdminWorld, app: App, **changes: str | None) -> dict[str, Any]:
    answer = world.client().post(TOKEN, data=exchange(app, code_for(world, app, **changes)))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def refreshed(app: App, token: str, **more: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "client_id": app.client_id, "refresh_token": token, **more}


def bearer(body: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {body['access_token']}"}


def test_a_person_lets_a_program_act_for_them(world: AdminWorld) -> None:
    app = public_app(world)
    body = tokens_of(world, app)

    access, identity = claims_of(world, body["access_token"]), claims_of(world, body["id_token"])
    assert (access["aud"], access["iss"], access["idtyp"]) == ("https://graph.microsoft.com", ISSUER, "user")
    assert access["scp"] == "openid profile Group.Read.All"
    assert (access["appid"], access["tid"]) == (app.client_id, TENANT_ID)
    assert (identity["aud"], identity["nonce"], identity["name"]) == (app.client_id, "some nonce", "Ada")
    assert identity["oid"] == access["oid"] != identity["sub"] == access["sub"]
    assert identity["auth_time"] == access["auth_time"] == int(world.clock.now().timestamp())
    assert identity["amr"] == ["otp"]
    info = json.loads(base64.urlsafe_b64decode(body["client_info"] + "=="))
    assert info == {"uid": access["oid"], "utid": TENANT_ID}
    assert set(body["scope"].split()) == {"openid", "profile", "offline_access", GROUPS_READ}
    client = world.client()
    assert client.get(GROUPS, headers=bearer(body)).status_code == 200
    assert client.post(GROUPS, json={}, headers=bearer(body)).status_code == 403
    assert client.get("/oidc/userinfo", headers=bearer(body)).json()["name"] == "Ada"


def test_an_id_token_opens_nothing(world: AdminWorld) -> None:
    body = tokens_of(world, public_app(world))

    answer = world.client().get(GROUPS, headers={"Authorization": f"Bearer {body['id_token']}"})

    assert answer.status_code == 401


def test_a_token_lets_a_person_do_no_more_than_their_roles(world: AdminWorld) -> None:
    app = public_app(world)
    body = tokens_of(world, app)
    with world.writing() as connection:
        person = people.named(connection, world.services.tenant, "ada")
        assert person is not None
        connection.exec_driver_sql("DELETE FROM role_assignments WHERE tenant_id = '%s'" % TENANT_ID)  # noqa: UP031, S608 - an id of ours

    assert world.client().get(GROUPS, headers=bearer(body)).status_code == 403


def test_what_an_application_may_use_is_taken_away_at_once(world: AdminWorld) -> None:
    app = public_app(world)
    body = tokens_of(world, app)
    world.clock.advance(seconds=1)
    with world.writing() as connection:
        apps.change_app(connection, world.services.acting("console"), app, delegated=("Device.Read.All",))

    answer = world.client().get(GROUPS, headers=bearer(body))

    assert answer.status_code == 401
    assert "insufficient_claims" in answer.headers["www-authenticate"]


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_the_answer_goes_where_the_application_said(embedded: AdminWorld, mode: str) -> None:
    app = public_app(embedded, redirect_uri="https://tool.example/back?from=us")
    browser = embedded.client()
    embedded.sign_in(browser)
    where = address(app, redirect_uri="https://tool.example/back?from=us", response_mode=mode)
    page = browser.get(where)
    assert "form-action 'self' https://tool.example;" in page.headers["content-security-policy"]

    answer = agree(browser, where)

    if mode == "query":
        assert answer.headers["location"].startswith("https://tool.example/back?from=us&code=")
        given = told(answer)
    else:
        assert answer.status_code == 200
        assert 'action="https://tool.example/back?from=us"' in answer.text
        assert "form-action 'self' https://tool.example;" in answer.headers["content-security-policy"]
        assert "<script>" not in answer.text
        given = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text.partition("data-continue")[2]))
    assert (given["state"], given["iss"]) == ("some state", ISSUER)
    form = exchange(app, given["code"], redirect_uri="https://tool.example/back?from=us")
    assert embedded.client().post(TOKEN, data=form).status_code == 200


def test_who_says_no_gives_nothing(embedded: AdminWorld) -> None:
    app = public_app(embedded)
    browser = embedded.client()
    embedded.sign_in(browser)

    given = told(agree(browser, address(app), decision="no"))

    assert (given["error"], given["state"], given["iss"]) == ("access_denied", "some state", ISSUER)
    assert "code" not in given


def test_a_form_of_another_site_agrees_to_nothing(embedded: AdminWorld) -> None:
    app = public_app(embedded)
    browser = embedded.client()
    embedded.sign_in(browser)

    for headers in ({"Origin": "https://evil.example"}, {"Origin": PUBLIC_URL}, {}):
        answer = browser.post(address(app), data={"csrf": "0" * 64, "decision": "yes"}, headers=headers)
        assert answer.status_code == 403, headers


BAD_ADDRESSES: dict[str, dict[str, str | None]] = {
    "an application of nobody": {"client_id": "00000000-0000-4000-8000-000000000000"},
    "no application": {"client_id": None},
    "another host": {"redirect_uri": "https://evil.example"},
    "another path": {"redirect_uri": f"{LOOPBACK}/other"},
    "a host that begins like ours": {"redirect_uri": "http://localhost.evil.example:49152"},
    "a user in the address": {"redirect_uri": "http://localhost:49152@evil.example"},
    "another name of the machine": {"redirect_uri": "http://127.0.0.1:49152"},
    "https where http was registered": {"redirect_uri": "https://localhost:49152"},
    "a port that is none": {"redirect_uri": "http://localhost:x"},
    "a line break": {"redirect_uri": "http://localhost:49152\r\nX: y"},
    "a script": {"redirect_uri": "javascript:alert(1)"},
    "no address": {"redirect_uri": None},
    "a fragment": {"redirect_uri": f"{LOOPBACK}/#x"},
}


@pytest.mark.parametrize("changes", BAD_ADDRESSES.values(), ids=BAD_ADDRESSES)
def test_nothing_is_sent_to_an_address_that_was_not_registered(
    embedded: AdminWorld, changes: dict[str, str | None]
) -> None:
    browser = embedded.client()
    embedded.sign_in(browser)

    answer = browser.get(address(public_app(embedded), **changes))

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "evil.example" not in answer.text


REFUSALS: dict[str, tuple[dict[str, str | None], str]] = {
    "a token in the address": ({"response_type": "token"}, "unsupported_response_type"),
    "code and id token": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "no response type": ({"response_type": None}, "unsupported_response_type"),
    "an answer in the fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "no PKCE": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "plain PKCE": ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, "invalid_request"),
    "PKCE without its method": ({"code_challenge_method": None}, "invalid_request"),
    "a short challenge": ({"code_challenge": "x" * 42}, "invalid_request"),
    "a scope of another resource": ({"scope": "https://evil.example/.default"}, "invalid_scope"),
    "scopes of two resources": (
        {"scope": f"{GROUPS_READ} https://api.securitycenter.microsoft.com/.default"},
        "invalid_scope",
    ),
    "a scope that was not given": ({"scope": "https://graph.microsoft.com/Device.Read.All"}, "invalid_scope"),
    "no scope": ({"scope": ""}, "invalid_scope"),
    "a prompt that there is not": ({"prompt": "please"}, "invalid_request"),
    "none and login": ({"prompt": "none login"}, "invalid_request"),
    "a request inside": ({"request": "e30.e30."}, "request_not_supported"),
    "a request elsewhere": ({"request_uri": "https://evil.example/r"}, "request_not_supported"),
    "an age that is none": ({"max_age": "-1"}, "invalid_request"),
    "silence on loopback": ({"prompt": "none"}, "interaction_required"),
}


@pytest.mark.parametrize(("changes", "error"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_granted_is_told_to_the_application(
    embedded: AdminWorld, changes: dict[str, str | None], error: str
) -> None:
    browser = embedded.client()
    embedded.sign_in(browser)

    given = told(browser.get(address(public_app(embedded), **changes)))

    assert (given["error"], given["state"], given["iss"]) == (error, "some state", ISSUER)


def test_a_part_that_stands_twice_is_refused(embedded: AdminWorld) -> None:
    browser = embedded.client()
    answer = browser.get(f"{address(public_app(embedded))}&redirect_uri=https://evil.example")
    assert answer.status_code == 400


def test_what_no_database_stores_is_refused_before_it_gets_there(embedded: AdminWorld) -> None:
    app = public_app(embedded)
    browser = embedded.client()
    embedded.sign_in(browser)

    for changes in ({"nonce": "a\0b"}, {"client_id": "a\0b"}, {"state": "\0"}):
        assert browser.get(address(app, **changes)).status_code == 400, changes
    answer = browser.post(TOKEN, data=refreshed(app, "a\0b"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_nobody_is_asked_before_they_signed_in(embedded: AdminWorld) -> None:
    app = public_app(embedded)
    browser = embedded.client()
    sent = browser.get(address(app))
    assert sent.status_code == 303
    assert sent.headers["location"].startswith("/sign-in?return=")
    assert query_of(query_of(sent.headers["location"])["return"][0])["client_id"] == [app.client_id]
    assert told(browser.get(address(app, prompt="none")))["error"] == "login_required"
    step = browser.get(address(app), headers={"Sec-Fetch-Site": "cross-site"})
    assert step.status_code == 200
    assert 'http-equiv="refresh"' in step.text


def test_a_web_application_may_ask_in_silence(embedded: AdminWorld) -> None:
    app = public_app(embedded, redirect_uri="https://tool.example/back")
    browser = embedded.client()
    embedded.sign_in(browser)

    given = told(browser.get(address(app, redirect_uri="https://tool.example/back", prompt="none")))

    assert set(given) == {"code", "state", "iss"}


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "login"},
        {"max_age": "60"},
        {"claims": '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'},
        {"claims": '{"access_token":{"acrs":{"essential":true,"values":["c1"]},"xms_cc":{"values":["CP1"]}}}'},
    ],
    ids=str,
)
def test_an_old_proof_is_not_enough_where_a_new_one_is_asked_for(
    world: AdminWorld, changes: dict[str, str | None]
) -> None:
    app = public_app(world)
    browser = world.client()
    world.sign_in(browser)
    world.clock.advance(minutes=11)
    sent = browser.get(address(app, **changes))
    assert sent.status_code == 303
    (after,) = query_of(sent.headers["location"])["return"]

    world.sign_in(browser)

    assert browser.get(after).status_code == 200
    assert "code" in told(agree(browser, after))


def test_a_session_of_another_tenant_is_nobody_here(world: AdminWorld) -> None:
    app = public_app(world)
    browser = world.client()
    world.sign_in(browser)

    answer = browser.get(address(app).replace(TENANT_ID, "fabrikam.test"))

    assert answer.status_code == 400  # the application is not Fabrikam's, whoever asks


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
