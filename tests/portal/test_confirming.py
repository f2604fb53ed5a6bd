"""Proving again who one is, for acts that want a fresh proof."""

from __future__ import annotations

import html
import re

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.authenticators import Authenticator
from tests.support.browsing import ORIGIN, add_passkey, confirm, sent, sign_in, token_of

from shieldwall.server.storage.identity import people

COOKIE = "__Host-shieldwall"


@pytest.fixture
def key(ada: Client, world: AdminWorld) -> Authenticator:
    """Ada's passkey. Ada proved who she is eleven minutes ago."""
    key = Authenticator()
    add_passkey(ada, key)
    world.clock.advance(minutes=11)
    return key


def invited(world: AdminWorld, name: str) -> bool:
    with world.services.database.read() as connection:
        return people.find_by_user_name(connection, world.services.tenant.id, name) is not None


def test_a_page_that_wants_a_fresh_proof_asks_for_it_and_comes_back(ada: Client, key: Authenticator) -> None:
    asked = ada.get("/account/passkeys/new?return=/account")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/sign-in/confirm?return=/account/passkeys/new%3Freturn%3D/account"
    assert "Confirm that it is you" in ada.get(asked.headers["location"]).text

    answer = confirm(ada, key, wanted="/account/passkeys/new?return=/account")

    assert answer.headers["location"] == "/account/passkeys/new?return=/account"
    assert ada.get("/account/passkeys/new").status_code == 200


SENSITIVE: tuple[tuple[str, dict[str, str]], ...] = (
    ("/people", {"display_name": "Grace", "user_name": "grace@contoso.example", "role": "none"}),
    ("/account/passkeys/options", {}),
    ("/account/passkeys/0/remove", {}),
    ("/people/x/code", {}),
    ("/people/x/end-sessions", {}),
    ("/people/x/account", {"enabled": "no"}),
    ("/people/x/delete", {}),
    ("/people/x/passkeys/0/remove", {}),
)


@pytest.mark.parametrize(("path", "fields"), SENSITIVE)
@pytest.mark.usefixtures("key")
def test_an_old_proof_does_not_suffice(world: AdminWorld, ada: Client, path: str, fields: dict[str, str]) -> None:
    answer = sent(ada, path, **fields)

    assert answer.status_code == 401
    assert "Confirm that it is you" in answer.text
    assert not invited(world, "grace@contoso.example")


def test_what_a_form_said_is_done_after_the_proof(world: AdminWorld, ada: Client, key: Authenticator) -> None:
    said = {
        "display_name": "Grace \u200f<b>&\"'\u202e Hopper",
        "user_name": "grace@contoso.example",
        "role": "none",
    }
    asked = sent(ada, "/people", **said)
    again, wanted = hidden(asked.text, "again"), hidden(asked.text, "return")
    assert wanted == "/people"

    page = confirm(ada, key, again=again, wanted=wanted)

    assert page.status_code == 200
    fields = {
        name: html.unescape(value)
        for name, value in re.findall(r'<textarea name="(\w+)" hidden>\n([^<]*)</textarea>', page.text)
    }
    assert fields == said, "letter by letter"
    csrf = hidden(page.text, "csrf")
    assert csrf == token_of(ada), "of the session that goes on"
    done = ada.post("/people", data={"csrf": csrf, **fields}, headers=ORIGIN)
    assert done.status_code == 200
    assert invited(world, "grace@contoso.example")


@pytest.mark.parametrize("forgery", ["another site", "no token"])
@pytest.mark.usefixtures("key")
def test_what_another_site_sends_is_not_kept_for_after_the_proof(ada: Client, forgery: str) -> None:
    form = {"display_name": "Mallory", "user_name": "mallory@evil.example", "role": "none"}
    token = {"csrf": token_of(ada)} if forgery == "another site" else {}
    origin = {"Origin": "https://sibling.localhost:8443"} if forgery == "another site" else ORIGIN

    answer = ada.post("/people", data=form | token, headers=origin)

    assert answer.status_code == 403
    assert "mallory" not in answer.text


def test_a_proof_renews_the_session_and_does_not_lengthen_it(
    world: AdminWorld, ada: Client, key: Authenticator
) -> None:
    before = ada.cookies[COOKIE]
    confirm(ada, key)

    assert ada.cookies[COOKIE] != before
    with world.client() as thief:
        thief.cookies.set(COOKIE, before)
        assert thief.get("/account").status_code == 303
    for _ in range(46):
        world.clock.advance(minutes=10)
        assert ada.get("/account").status_code == 200
    world.clock.advance(minutes=10)
    assert ada.get("/account").status_code == 303


@pytest.mark.usefixtures("key")
def test_a_fresh_code_is_a_proof_as_well_but_nobody_elses(world: AdminWorld, ada: Client) -> None:
    theirs = world.invite("Bea")
    own = world.invite("Ada")

    assert sent(ada, "/sign-in/confirm", code=theirs).status_code == 403
    assert ada.get("/account/passkeys/new").status_code == 303
    assert sent(ada, "/sign-in/confirm", code=own).status_code == 303
    assert ada.get("/account/passkeys/new").status_code == 200


@pytest.mark.usefixtures("key")
def test_somebody_elses_passkey_proves_nothing(world: AdminWorld, ada: Client) -> None:
    with world.client() as bea:
        world.sign_in(bea, "Bea")
        theirs = Authenticator()
        add_passkey(bea, theirs)

    assert confirm(ada, theirs).status_code == 403
    assert ada.get("/account/passkeys/new").status_code == 303


@pytest.mark.parametrize("wanted", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_a_proof_leads_nobody_away(ada: Client, key: Authenticator, wanted: str) -> None:
    answer = confirm(ada, key, again='{"a":"b"}', wanted=wanted)

    assert 'action="/"' in answer.text
    assert "evil" not in answer.text


@pytest.mark.parametrize("again", ["x", "[]", '{"a":1}', '{"a":"b","a":"c"}', "[" * 100])
def test_what_is_no_form_is_not_sent_again(ada: Client, key: Authenticator, again: str) -> None:
    assert confirm(ada, key, again=again).headers["location"] == "/"


def test_a_proof_is_asked_of_this_session_alone(world: AdminWorld, ada: Client, key: Authenticator) -> None:
    with world.client() as other:
        sign_in(other, key)
        assert other.get("/account/passkeys/new").status_code == 200
    assert ada.get("/account/passkeys/new").status_code == 303


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found
    return html.unescape(found[1])
