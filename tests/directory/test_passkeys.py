from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import Connection
from tests.support.authenticators import HONEST, PRESENT, Authenticator, Lie
from tests.support.office import Office
from tests.support.samples import NOON, TENANT_ID, counted_id
from webauthn.helpers import bytes_to_base64url

from shieldwall.server.directory import passkeys
from shieldwall.server.directory.challenges import new_challenge
from shieldwall.server.directory.passkeys import (
    CopiedPasskeyError,
    InvalidPasskeyError,
    LastPasskeyError,
    PasskeyNotRegisteredError,
)
from shieldwall.server.directory.relying_party import RelyingParty, allowed_of, registration_options, sign_in_options
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.identity import passkeys as stored
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity.passkeys import Passkey
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.records import Page

PARTY = RelyingParty.at("https://localhost:8443")


def a_person(connection: Connection, number: int = 1) -> Person:
    person = Person(
        id=counted_id("e", number),
        tenant_id=TENANT_ID,
        user_name=f"person{number}@contoso.example",
        display_name=f"Person {number}",
        created_at=NOON,
        valid_from=NOON,
    )
    people.add(connection, person)
    return person


def registered(
    connection: Connection,
    office: Office,
    person: Person,
    key: Authenticator,
    *,
    name: str = "Laptop",
    lie: Lie = HONEST,
) -> Passkey:
    challenge = new_challenge()
    existing = stored.of_person(connection, person.id)
    answer = key.make(registration_options(PARTY, person, existing, challenge), lie)
    return passkeys.register(
        connection, office.acting, PARTY, person, answer=answer, challenge=challenge, display_name=name
    )


def signed_in(connection: Connection, office: Office, key: Authenticator, lie: Lie = HONEST) -> Person:
    challenge = new_challenge()
    answer = key.answer(sign_in_options(PARTY, challenge), lie)
    return passkeys.authenticate(connection, office.acting, PARTY, answer=answer, challenge=challenge)[0]


def test_a_passkey_that_was_registered_says_who_somebody_is(connection: Connection, office: Office) -> None:
    person, key = a_person(connection), Authenticator()
    made = registered(connection, office, person, key)
    office.clock.advance(minutes=1)

    assert signed_in(connection, office, key) == person
    found = stored.find(connection, made.digest)
    assert found is not None
    assert (found.sign_count, found.last_used_at) == (1, office.clock.now())
    assert found.transports == ("hybrid", "internal")
    assert [event.activity for event in office.trail(connection)] == ["passkey.added"]


def test_a_browser_is_asked_for_a_verified_user_and_a_passkey_that_needs_no_name(connection: Connection) -> None:
    person = a_person(connection)

    options = registration_options(PARTY, person, [], new_challenge())

    assert options["attestation"] == "none"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["rp"] == {"name": "Shieldwall", "id": "localhost"}
    assert sign_in_options(PARTY, new_challenge())["userVerification"] == "required"


def test_an_authenticator_is_asked_for_no_second_passkey(connection: Connection, office: Office) -> None:
    person, key = a_person(connection), Authenticator()
    registered(connection, office, person, key)

    options = registration_options(PARTY, person, stored.of_person(connection, person.id), new_challenge())

    assert [each["id"] for each in options["excludeCredentials"]] == [bytes_to_base64url(key.credential_id)]
    with pytest.raises(PasskeyNotRegisteredError, match="already"):
        registered(connection, office, person, key)
    with pytest.raises(PasskeyNotRegisteredError, match="already"):
        registered(connection, office, a_person(connection, 2), key)


LIES = {
    "another site's": Lie(origin="https://evil.example"),
    "another port's": Lie(origin="https://localhost:8444"),
    "an unencrypted page's": Lie(origin="http://localhost:8443"),
    "a subdomain's": Lie(origin="https://x.localhost:8443"),
    "another host's": Lie(party="evil.example"),
    "for another challenge": Lie(challenge=new_challenge()),
    "of nobody verified": Lie(flags=PRESENT),
    "of nobody present": Lie(flags=0x04),
    "of another kind": Lie(kind="payment.get"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_an_answer_that_does_not_fit_registers_nothing(connection: Connection, office: Office, lie: Lie) -> None:
    person = a_person(connection)

    with pytest.raises(InvalidPasskeyError):
        registered(connection, office, person, Authenticator(), lie=lie)
    assert stored.of_person(connection, person.id) == ()


@pytest.mark.parametrize("lie", [*LIES.values(), Lie(spoiled=True), Lie(user_handle=b"x" * 16)])
def test_an_answer_that_does_not_fit_lets_nobody_in(connection: Connection, office: Office, lie: Lie) -> None:
    key = Authenticator()
    registered(connection, office, a_person(connection), key)

    with pytest.raises(InvalidPasskeyError):
        signed_in(connection, office, key, lie)
    assert signed_in(connection, office, key).user_name == "person1@contoso.example"


def test_a_page_inside_another_ones_page_is_told_apart() -> None:
    answer = Authenticator().answer(sign_in_options(PARTY, new_challenge()), Lie(cross_origin=True))

    with pytest.raises(InvalidPasskeyError, match="inside"):
        passkeys.challenge_of(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"response":{}}',
        '{"response":{"clientDataJSON":7}}',
        '{"response":{"clientDataJSON":"e30"}}',
        '{"response":{"clientDataJSON":"%%%"}}',
        '{"id":"a","id":"b","response":{}}',
        "[" * 10_000,
        "x" * 100_000,
        '{"response":{"clientDataJSON":"\ud800"}}',
    ],
)
def test_what_is_no_answer_is_refused(connection: Connection, office: Office, answer: str) -> None:
    with pytest.raises(InvalidPasskeyError):
        passkeys.challenge_of(answer)
    with pytest.raises(InvalidPasskeyError):
        passkeys.authenticate(connection, office.acting, PARTY, answer=answer, challenge=new_challenge())


def test_every_part_of_an_answer_may_be_anything_without_harm(connection: Connection, office: Office) -> None:
    person, key = a_person(connection), Authenticator()
    registered(connection, office, person, key)
    challenge = new_challenge()
    good = json.loads(key.answer(sign_in_options(PARTY, challenge)))
    value: object
    for name in ("id", "rawId", "type"):
        for value in (None, 7, "", "é", [], "A" * 5000):
            answer = json.dumps(good | {name: value})
            with pytest.raises(InvalidPasskeyError):
                passkeys.authenticate(connection, office.acting, PARTY, answer=answer, challenge=challenge)
    for name in good["response"]:
        for value in (7, "é", "AA", [], {}, "A" * 5000):
            answer = json.dumps(good | {"response": good["response"] | {name: value}})
            with pytest.raises(InvalidPasskeyError):
                passkeys.authenticate(connection, office.acting, PARTY, answer=answer, challenge=challenge)


def test_a_counter_that_goes_back_is_refused_and_told(connection: Connection, office: Office) -> None:
    person, key = a_person(connection), Authenticator()
    registered(connection, office, person, key)
    copy = key.copied()
    for _ in range(3):
        signed_in(connection, office, key)

    with pytest.raises(CopiedPasskeyError) as copied:
        signed_in(connection, office, copy)
    passkeys.tell_of_copy(connection, office.acting, copied.value)

    (alert,) = alerts.newest_open(connection, TENANT_ID, 10)
    assert (alert.kind, alert.severity.value) == ("passkeyCopied", "high")
    assert "Person 1" in alert.title
    assert office.trail(connection)[-1].activity == "passkey.refused"
    assert signed_in(connection, office, key) == person, "the owner's goes on"


def test_the_same_count_twice_is_a_copy(connection: Connection, office: Office) -> None:
    key = Authenticator()
    registered(connection, office, a_person(connection), key)
    signed_in(connection, office, key)

    with pytest.raises(CopiedPasskeyError):
        signed_in(connection, office, key, Lie(counter=1))


def test_an_authenticator_that_does_not_count_is_let_in_again_and_again(connection: Connection, office: Office) -> None:
    person, key = a_person(connection), Authenticator(counts=False)
    registered(connection, office, person, key)
    for _ in range(3):
        assert signed_in(connection, office, key) == person


def test_who_is_switched_off_has_no_way_in(connection: Connection, office: Office) -> None:
    person, key = a_person(connection), Authenticator()
    registered(connection, office, person, key)
    people.change(connection, replace(person, enabled=False))

    with pytest.raises(InvalidPasskeyError):
        signed_in(connection, office, key)


def test_the_last_passkey_is_removed_by_others_alone(connection: Connection, office: Office) -> None:
    person = a_person(connection)
    first = registered(connection, office, person, Authenticator())
    second = registered(connection, office, person, Authenticator(), name="Telephone")
    passkeys.remove(connection, office.acting, person, second.digest, has_other_way=False)

    with pytest.raises(LastPasskeyError):
        passkeys.remove(connection, office.acting, person, first.digest, has_other_way=False)
    passkeys.remove(connection, office.acting, person, first.digest, has_other_way=True)
    assert stored.of_person(connection, person.id) == ()


def test_a_passkey_of_somebody_else_is_not_there(connection: Connection, office: Office) -> None:
    person, other = a_person(connection), a_person(connection, 2)
    theirs = registered(connection, office, other, Authenticator())

    with pytest.raises(NotFoundError):
        passkeys.remove(connection, office.acting, person, theirs.digest, has_other_way=True)
    with pytest.raises(NotFoundError):
        passkeys.rename(connection, office.acting, person, theirs.digest, "Mine")


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\x00b", "a\nb"])
def test_a_passkey_has_a_name(connection: Connection, office: Office, name: str) -> None:
    with pytest.raises(PasskeyNotRegisteredError, match="name"):
        registered(connection, office, a_person(connection), Authenticator(), name=name)


def test_asking_for_somebody_by_name_does_not_tell_whether_they_are_there() -> None:
    key = bytes(32)
    (first,), (again,) = allowed_of([], "nobody", key), allowed_of([], "nobody", key)
    (other,) = allowed_of([], "somebody", key)

    assert first.id == again.id
    assert first.id != other.id
    assert allowed_of([], "nobody", b"another")[0].id != first.id


def test_a_removed_person_takes_their_passkeys_along(connection: Connection, office: Office) -> None:
    person, key = a_person(connection), Authenticator()
    registered(connection, office, person, key)
    people.remove(connection, person.id)

    with pytest.raises(InvalidPasskeyError):
        signed_in(connection, office, key)
    assert people.list_people(connection, TENANT_ID, Page()) == ()
