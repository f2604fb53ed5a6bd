"""Signing in with passkeys and codes, over the wire."""

from __future__ import annotations

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.authenticators import Authenticator, Lie
from tests.support.browsing import ORIGIN, add_passkey, asked, sent, sign_in, token_of

from shieldwall.server.access.throttling import Attempts, Limits, TooManyRequestsError
from shieldwall.server.portal.sign_in.limits import QUESTIONS, SignInLimits
from shieldwall.server.portal.sign_in.returning import safe_return
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.identity import passkeys as stored_passkeys
from shieldwall.server.storage.identity import people, sessions

COOKIE = "__Host-shieldwall"
ATTEMPT = "__Host-shieldwall-attempt"


@pytest.fixture(autouse=True)
def fleet(world: AdminWorld) -> None:
    """A tenant past its first run, where whoever signs in begins with the overview."""
    with world.writing() as connection:
        world.manager.join(connection, 1)


@pytest.fixture
def key(ada: Client) -> Authenticator:
    """Ada's passkey; Ada is signed in."""
    key = Authenticator()
    assert add_passkey(ada, key).status_code == 303
    return key


def is_signed_in(client: Client) -> bool:
    return client.get("/account").status_code == 200


# First run


def test_a_code_leads_straight_to_a_passkey(world: AdminWorld, client: Client) -> None:
    answer = client.post("/sign-in", data={"code": world.invite()}, headers=ORIGIN)

    assert answer.headers["location"] == "/account/passkeys/new"
    page = client.get("/account/passkeys/new").text
    assert "Make your passkey" in page
    assert "Go on without" in page


@pytest.mark.usefixtures("key")
def test_whoever_has_a_passkey_goes_on_where_they_wanted_to_be(world: AdminWorld, client: Client) -> None:
    fields = {"code": world.invite(), "return": "/devices?state=pending"}
    answer = client.post("/sign-in", data=fields, headers=ORIGIN)

    assert answer.headers["location"] == "/devices?state=pending"


@pytest.mark.usefixtures("key")
def test_the_account_suggests_a_second_passkey_and_a_second_administrator(world: AdminWorld, ada: Client) -> None:
    before = ada.get("/account").text
    add_passkey(ada, Authenticator(), "Telephone")
    world.invite("Grace")
    after = ada.get("/account").text

    assert "Add a second one" in before
    assert "second administrator" in before
    assert "Add a second one" not in after
    assert "second administrator" not in after


def test_there_is_no_page_to_set_up_anything_without_a_code(client: Client) -> None:
    for path in ("/setup", "/account", "/account/passkeys/new", "/people", "/install"):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code in {303, 404}
    for path in ("/account/passkeys/options", "/account/passkeys", "/people"):
        assert client.post(path, headers=ORIGIN).headers["location"] == "/sign-in"


# Signing in


def test_a_passkey_signs_in_without_a_name(client: Client, key: Authenticator) -> None:
    answer = sign_in(client, key)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert is_signed_in(client)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_a_passkey_signs_in_by_name(client: Client, key: Authenticator) -> None:
    options = asked(client, "/sign-in/options", name=" ADA@contoso.example ")
    assert len(options["allowCredentials"]) == 1

    assert sign_in(client, key, name="ada").status_code == 303
    assert is_signed_in(client)


@pytest.mark.usefixtures("key")
def test_somebody_elses_passkey_does_not_answer_for_a_name(world: AdminWorld, client: Client) -> None:
    with world.client() as bea:
        world.sign_in(bea, "Bea")
        theirs = Authenticator()
        add_passkey(bea, theirs)

    assert sign_in(client, theirs, name="ada").status_code == 403
    assert sign_in(client, theirs, name="nobody").status_code == 403
    assert not is_signed_in(client)


@pytest.mark.usefixtures("key")
def test_asking_by_name_does_not_tell_who_exists(world: AdminWorld, client: Client) -> None:
    world.invite("Bea")
    shapes = []
    for name in ("ada", "bea", "nobody", "\x00", "é" * 300):
        first = asked(client, "/sign-in/options", name=name)
        again = asked(client, "/sign-in/options", name=name)
        assert first["allowCredentials"][0]["id"] == again["allowCredentials"][0]["id"]
        shapes.append((sorted(first), len(first["allowCredentials"][0]["id"])))
    assert len({str(shape) for shape in shapes}) == 1


def test_a_challenge_is_good_once(client: Client, key: Authenticator) -> None:
    options = asked(client, "/sign-in/options")
    answer = key.answer(options)
    assert client.post("/sign-in/passkey", data={"credential": answer}, headers=ORIGIN).status_code == 303

    again = client.post("/sign-in/passkey", data={"credential": key.answer(options)}, headers=ORIGIN)

    assert again.status_code == 403


def test_a_wrong_answer_uses_the_challenge_up(client: Client, key: Authenticator) -> None:
    options = asked(client, "/sign-in/options")
    wrong = key.answer(options, Lie(spoiled=True))
    assert client.post("/sign-in/passkey", data={"credential": wrong}, headers=ORIGIN).status_code == 403

    right = client.post("/sign-in/passkey", data={"credential": key.answer(options)}, headers=ORIGIN)

    assert right.status_code == 403


def test_a_challenge_ends_after_five_minutes(world: AdminWorld, client: Client, key: Authenticator) -> None:
    for minutes, status in ((5, 403), (4, 303)):
        options = asked(client, "/sign-in/options")
        world.clock.advance(minutes=minutes)
        answer = client.post("/sign-in/passkey", data={"credential": key.answer(options)}, headers=ORIGIN)
        assert answer.status_code == status


def test_a_challenge_belongs_to_one_browser(world: AdminWorld, client: Client, key: Authenticator) -> None:
    options = asked(client, "/sign-in/options")
    answer = key.answer(options)
    with world.client() as thief:
        assert thief.post("/sign-in/passkey", data={"credential": answer}, headers=ORIGIN).status_code == 403
        asked(thief, "/sign-in/options")
        assert thief.post("/sign-in/passkey", data={"credential": answer}, headers=ORIGIN).status_code == 403

    assert client.post("/sign-in/passkey", data={"credential": answer}, headers=ORIGIN).status_code == 303


def test_a_challenge_is_good_for_one_purpose(ada: Client, key: Authenticator) -> None:
    csrf = token_of(ada)
    for asking, answering in (
        ("/sign-in/options", "/sign-in/confirm"),
        ("/sign-in/confirm/options", "/sign-in/passkey"),
    ):
        answer = key.answer(asked(ada, asking, csrf=csrf))
        refused = ada.post(answering, data={"csrf": csrf, "credential": answer}, headers=ORIGIN)
        assert refused.status_code == 403, asking
    making = Authenticator().make(asked(ada, "/account/passkeys/options", csrf=csrf))
    for path in ("/sign-in/passkey", "/sign-in/confirm"):
        assert ada.post(path, data={"csrf": csrf, "credential": making}, headers=ORIGIN).status_code == 403


def test_neither_challenge_nor_secret_is_kept(world: AdminWorld, client: Client) -> None:
    options = asked(client, "/sign-in/options")

    with world.services.database.read() as connection:
        rows = repr(connection.exec_driver_sql("SELECT * FROM sign_in_attempts").all())
    assert options["challenge"] not in rows
    assert client.cookies[ATTEMPT] not in rows


def test_a_copied_passkey_is_refused_and_everybody_hears_of_it(
    world: AdminWorld, ada: Client, client: Client, key: Authenticator
) -> None:
    copy = key.copied()
    assert sign_in(client, key).status_code == 303
    sign_in(client, key)
    with world.client() as thief:
        answer = sign_in(thief, copy)

        assert answer.status_code == 403
        assert "counted" in answer.text
        assert not is_signed_in(thief)
    with world.services.database.read() as connection:
        (alert,) = alerts.newest_open(connection, world.services.tenant.id, 5)
    assert alert.kind == "passkeyCopied"
    assert "may have been copied" in ada.get("/alerts").text


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example"])
@pytest.mark.parametrize("path", ["/sign-in/options", "/sign-in/passkey"])
def test_another_site_starts_and_ends_nothing(client: Client, path: str, origin: str | None) -> None:
    answer = client.post(path, data={}, headers={"Origin": origin} if origin else {})

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("credential", ["", "{}", "null", "é", "[" * 40, '{"response":{"clientDataJSON":1}}'])
def test_a_made_up_answer_is_a_page_that_says_so(client: Client, credential: str) -> None:
    answer = client.post("/sign-in/passkey", data={"credential": credential}, headers=ORIGIN)

    assert answer.status_code == 403
    assert 'role="alert"' in answer.text


def test_every_sign_in_is_a_new_session_and_the_one_before_ends(
    world: AdminWorld, client: Client, key: Authenticator
) -> None:
    sign_in(client, key)
    before = client.cookies[COOKIE]
    sign_in(client, key)

    assert client.cookies[COOKIE] != before
    with world.client() as thief:
        thief.cookies.set(COOKIE, before)
        assert not is_signed_in(thief)


def test_a_name_of_another_tenant_is_somebody_else(client: Client, key: Authenticator) -> None:
    assert sign_in(client, key, name="ada", tenant="fabrikam.test").status_code == 403
    assert sign_in(client, key, name="ada", tenant="\x00").status_code == 303


# Strangers


def test_wrong_codes_are_slowed_and_a_passkey_is_not(world: AdminWorld, client: Client, key: Authenticator) -> None:
    with world.client() as stranger:
        answers = [stranger.post("/sign-in", data={"code": f"guess{n}"}, headers=ORIGIN) for n in range(12)]

    assert [each.status_code for each in answers] == [403] * 10 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) > 0
    assert sign_in(client, key).status_code == 303, "from the same address"


def test_a_flood_of_answers_does_not_keep_the_owner_out(world: AdminWorld, client: Client, key: Authenticator) -> None:
    with world.client() as stranger:
        for _ in range(300):
            flood = stranger.post("/sign-in/passkey", data={"credential": "{}"}, headers=ORIGIN)
            assert flood.status_code == 403

    assert sign_in(client, key, name="ada").status_code == 303


def test_questions_are_paced() -> None:
    moment = 0.0
    limits = SignInLimits(Attempts(Limits(), lambda: moment), lambda: moment)
    for _ in range(QUESTIONS):
        limits.admit_question("192.0.2.1")

    with pytest.raises(TooManyRequestsError) as refused:
        limits.admit_question("192.0.2.1")
    limits.admit_question("192.0.2.2")
    assert refused.value.retry_after == 1
    moment = 0.5
    limits.admit_question("192.0.2.1")


# Where one goes afterwards


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "///evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "/%0d%0aSet-Cookie:x=y\r\nSet-Cookie: a=b",
        "evil.example",
        "",
        "/é",
        "/ x",
        "/" + "a" * 5000,
        "/sign-out",
        "/sign-in?return=/sign-in",
        "@evil.example",
        "/<script>",
        "\x00/",
    ],
)
def test_nobody_is_led_away(client: Client, key: Authenticator, wanted: str) -> None:
    answer = sign_in(client, key, wanted=wanted)

    assert answer.headers["location"] == "/"
    assert safe_return(wanted) == "/"
    page = client.get("/sign-in", params={"return": wanted}).text
    assert 'name="return" value="/"' in page


@pytest.mark.parametrize("wanted", ["/devices", "/devices?x=1&y=%20", "/a/b//c", "/contoso.example/authorize?x=y"])
def test_a_page_of_ours_is_found_again(client: Client, key: Authenticator, wanted: str) -> None:
    assert sign_in(client, key, wanted=wanted).headers["location"] == wanted


# Sessions and passkeys of one's own


def test_sessions_are_listed_with_where_and_how(world: AdminWorld, ada: Client, key: Authenticator) -> None:
    with world.client() as other:
        other.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
        sign_in(other, key)
        page = ada.get("/account").text

    assert "Chrome on Linux, 127.0.0.1" in page
    assert "(this one)" in page
    assert "passkey" in page


def test_one_session_is_ended(world: AdminWorld, ada: Client, key: Authenticator) -> None:
    with world.client() as other:
        sign_in(other, key)
        with world.services.database.read() as connection:
            person = people.find_by_user_name(connection, world.services.tenant.id, "ada")
            assert person is not None
            (theirs,) = [each for each in sessions.of_person(connection, person.id) if each.method == "passkey"]
        assert sent(ada, "/account/sessions/end", session=theirs.token_digest).status_code == 303
        assert not is_signed_in(other)
    assert is_signed_in(ada)


def test_a_session_of_somebody_else_is_not_ended(world: AdminWorld, ada: Client) -> None:
    with world.client() as bea:
        world.sign_in(bea, "Bea")
        with world.services.database.read() as connection:
            person = people.find_by_user_name(connection, world.services.tenant.id, "bea")
            assert person is not None
            (theirs,) = sessions.of_person(connection, person.id)
        sent(ada, "/account/sessions/end", session=theirs.token_digest)
        assert is_signed_in(bea)


def test_all_sessions_are_ended_at_once(world: AdminWorld, ada: Client, key: Authenticator) -> None:
    with world.client() as other:
        sign_in(other, key)
        assert sent(ada, "/account/sessions/end-all").headers["location"] == "/sign-in"
        assert not is_signed_in(other)
    assert not is_signed_in(ada)


@pytest.mark.usefixtures("key")
def test_nobody_removes_their_last_passkey(world: AdminWorld, ada: Client) -> None:
    with world.services.database.read() as connection:
        person = people.find_by_user_name(connection, world.services.tenant.id, "ada")
        assert person is not None
        (only,) = stored_passkeys.of_person(connection, person.id)
    refused = sent(ada, f"/account/passkeys/{only.digest}/remove")
    assert refused.status_code == 409
    assert "only passkey" in refused.text

    add_passkey(ada, Authenticator(), "Telephone")
    assert sent(ada, f"/account/passkeys/{only.digest}/rename", name="Old laptop").status_code == 303
    assert "Old laptop" in ada.get("/account").text
    assert sent(ada, f"/account/passkeys/{only.digest}/remove").status_code == 303
    assert "Old laptop" not in ada.get("/account").text
