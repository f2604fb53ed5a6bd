"""People who sign in to applications: the page where they agree, and what the application is told."""

from __future__ import annotations

import base64
import json
import re

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld
from tests.support.graph_bodies import GROUPS
from tests.support.identity_clients import (
    GROUPS_READ,
    LOOPBACK,
    TOKEN,
    VERIFIER,
    address,
    agree,
    bearer,
    claims_of,
    exchange,
    public_app,
    query_of,
    refreshed,
    tokens_of,
    told,
)
from tests.support.samples import TENANT_ID

from shieldwall.server.directory import apps, people

ISSUER = f"{PUBLIC_URL}/{TENANT_ID}/v2.0"


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
