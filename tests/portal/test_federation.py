"""Signing in at an identity provider: a real one over TLS, honest and hostile."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.admin import AdminWorld, Client, create_admin_world
from tests.support.authenticators import Authenticator
from tests.support.browsing import ORIGIN, add_passkey, token_of
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, KEYS, OpenIdProvider, providing
from tests.support.receivers import trusting_receivers
from tests.support.samples import a_group

from shieldwall.contract.strict_json import encode
from shieldwall.server.directory import federation, people
from shieldwall.server.directory.federation import Admission, ProviderSettings
from shieldwall.server.outgoing.client import Outgoing
from shieldwall.server.outgoing.resolving import SystemResolver
from shieldwall.server.outgoing.rules import OutgoingRules
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.identity import identity_providers
from shieldwall.server.storage.identity import people as stored_people
from shieldwall.server.storage.identity.identity_providers import IdentityProvider

CALLBACK = "/sign-in/federated/callback"
RULES = OutgoingRules(loopback=True)
PROVIDER = "00000000-0000-4000-8000-0000000000f1"


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[AdminWorld]:
    world = create_admin_world(database, tmp_path / "data")
    resolver = SystemResolver()
    outgoing = Outgoing(rules=RULES, resolver=resolver, trust=trusting_receivers)
    yield replace(world, services=replace(world.services, outgoing=outgoing))
    resolver.close()


@pytest.fixture
def there(world: AdminWorld, tmp_path: Path) -> Iterator[OpenIdProvider]:
    """A provider that the tenant trusts; Grace is invited, and belongs to nothing."""
    with providing(tmp_path, world.clock) as provider:
        configure(world, provider)
        with world.writing() as connection:
            people.create(
                connection, world.services.acting("test"), user_name="grace@contoso.example", display_name="G"
            )
        provider.person["preferred_username"] = "Grace@contoso.example"
        yield provider


def configure(world: AdminWorld, there: OpenIdProvider, **settings: Any) -> None:
    with world.writing() as connection:
        now = world.clock.now()
        before = identity_providers.find(connection, PROVIDER)
        kept = IdentityProvider(
            id=PROVIDER,
            tenant_id=world.services.tenant.id,
            display_name="Contoso SSO",
            issuer=there.issuer,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            settings=encode(ProviderSettings(**settings)).decode(),
            created_at=now,
            modified_at=now,
        )
        federation.put_provider(connection, world.services.acting("test"), kept, RULES, is_new=before is None)


def leaving(client: Client, **fields: str) -> str:
    """Set out for the provider; return where the browser is sent."""
    answer = client.post(f"/sign-in/federated/{PROVIDER}", data=fields, headers=ORIGIN)
    assert answer.status_code == 200, answer.text
    found = re.search(r'content="0; url=([^"]+)"', answer.text)
    assert found
    return html.unescape(found[1])


def arrive(client: Client, query: str) -> httpx.Response:
    """Come back, and let the page of ours go on."""
    page = client.get(f"{CALLBACK}?{query}")
    if page.status_code != 200:
        return page
    found = re.search(r'name="proof" hidden>\n([^<]+)</textarea>', page.text)
    assert found
    return client.post("/sign-in/finish", data={"proof": found[1]}, headers=ORIGIN)


def sign_in(client: Client, there: OpenIdProvider, **fields: str) -> httpx.Response:
    return arrive(client, there.authorize(leaving(client, **fields)))


def name_of(client: Client) -> str:
    answer = client.get("/account")
    found = re.search(r'<p class="lead"><bdi>([^<]*)</bdi>', answer.text)
    return found[1] if found else ""


def test_an_invited_person_signs_in_and_is_the_same_ever_after(client: Client, there: OpenIdProvider) -> None:
    assert "Contoso SSO" in client.get("/sign-in").text
    assert CLIENT_SECRET not in client.get("/sign-in").text
    answer = sign_in(client, there, **{"return": "/account"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert name_of(client) == "grace@contoso.example"

    there.person["preferred_username"] = "somebody@else.example"
    assert sign_in(client, there).status_code == 303
    assert name_of(client) == "grace@contoso.example", "known by subject, whatever the name is now"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_every_algorithm_that_is_allowed_works(client: Client, there: OpenIdProvider, algorithm: str) -> None:
    there.algorithm = algorithm

    assert sign_in(client, there).status_code == 303


def test_a_request_is_pushed_where_the_provider_takes_it(client: Client, there: OpenIdProvider) -> None:
    there.pushes = True

    where = leaving(client)
    assert "code_challenge" not in where
    assert arrive(client, there.authorize(where)).status_code == 303


LIES: dict[str, Callable[[OpenIdProvider], Any]] = {
    "another issuer": lambda there: there.lies.update(iss="https://evil.example"),
    "an issuer with a slash": lambda there: there.lies.update(iss=f"{there.issuer}/"),
    "another audience": lambda there: there.lies.update(aud="another"),
    "several audiences and nobody authorized": lambda there: there.lies.update(aud=[CLIENT_ID, "another"]),
    "another authorized party": lambda there: there.lies.update(azp="another"),
    "another nonce": lambda there: there.lies.update(nonce="x" * 43),
    "no nonce": lambda there: there.lies.update(nonce=...),
    "no subject": lambda there: there.lies.update(sub=...),
    "a subject that is a number": lambda there: there.lies.update(sub=7),
    "a long subject": lambda there: there.lies.update(sub="x" * 256),
    "an end in the past": lambda there: there.lies.update(exp=int(there.clock.now().timestamp()) - 61),
    "no end": lambda there: there.lies.update(exp=...),
    "a beginning in the future": lambda there: there.lies.update(iat=int(there.clock.now().timestamp()) + 61),
    "an old beginning": lambda there: there.lies.update(iat=int(there.clock.now().timestamp()) - 601),
    "not yet": lambda there: there.lies.update(nbf=int(there.clock.now().timestamp()) + 61),
    "no signature": lambda there: setattr(there, "algorithm", "none"),
    "a public key as a secret": lambda there: setattr(there, "algorithm", "HS256"),
    "another key": lambda there: setattr(there, "key", KEYS["other"]),
    "a key that is not published": lambda there: setattr(there, "published", ("ES256",)),
    "another description": lambda there: there.metadata_lies.update(issuer="https://evil.example"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_token_that_does_not_fit_lets_nobody_in(
    client: Client, there: OpenIdProvider, lie: Callable[[OpenIdProvider], Any]
) -> None:
    lie(there)
    left = client.post(f"/sign-in/federated/{PROVIDER}", headers=ORIGIN)
    if left.status_code == 200:
        found = re.search(r'content="0; url=([^"]+)"', left.text)
        assert found
        answer = arrive(client, there.authorize(html.unescape(found[1])))
        assert answer.status_code == 400, answer.text
    else:
        assert left.status_code == 400
    assert name_of(client) == ""


def test_what_comes_back_belongs_to_one_question_of_one_browser(
    world: AdminWorld, client: Client, there: OpenIdProvider
) -> None:
    query = there.authorize(leaving(client))
    with world.client() as thief:
        assert thief.get(f"{CALLBACK}?{query}").status_code == 400
        leaving(thief)
        assert thief.get(f"{CALLBACK}?{query}").status_code == 400
    assert arrive(client, query).status_code == 303
    assert arrive(client, query).status_code == 400, "state and code were used"


def test_mixed_up_answers_are_refused(client: Client, there: OpenIdProvider) -> None:
    spoilt: tuple[Callable[[str], str], ...] = (
        lambda query: re.sub(r"state=[^&]+", "state=x", query),
        lambda query: re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fevil.example", query),
        lambda query: re.sub(r"&iss=[^&]+", "", query),
        lambda query: re.sub(r"code=[^&]+", "code=x", query),
        lambda query: re.sub(r"code=[^&]+&", "", query),
        lambda query: f"{query}&state=y",
        lambda query: f"{query}&error=access_denied",
        lambda _: "",
    )
    for spoil in spoilt:
        assert arrive(client, spoil(there.authorize(leaving(client)))).status_code == 400
    first, second = there.authorize(leaving(client)), there.authorize(leaving(client))
    code = re.search(r"code=[^&]+", second)
    assert code
    assert arrive(client, re.sub(r"code=[^&]+", code[0], first)).status_code == 400, "the code of another question"
    assert name_of(client) == ""


def test_a_proof_is_used_once_and_by_its_browser(world: AdminWorld, client: Client, there: OpenIdProvider) -> None:
    page = client.get(f"{CALLBACK}?{there.authorize(leaving(client))}").text
    found = re.search(r'name="proof" hidden>\n([^<]+)</textarea>', page)
    assert found
    data = {"proof": found[1]}
    with world.client() as thief:
        assert thief.post("/sign-in/finish", data=data, headers=ORIGIN).status_code == 400
    evil = {"Origin": "https://evil.example"}
    assert client.post("/sign-in/finish", data=data, headers=evil).status_code == 403
    assert client.post("/sign-in/finish", data=data, headers=ORIGIN).status_code == 303
    assert client.post("/sign-in/finish", data=data, headers=ORIGIN).status_code == 400


def test_a_question_ends_after_five_minutes(world: AdminWorld, client: Client, there: OpenIdProvider) -> None:
    query = there.authorize(leaving(client))
    world.clock.advance(minutes=5)

    assert arrive(client, query).status_code == 400


def test_keys_that_were_changed_are_asked_for_once_a_minute(
    world: AdminWorld, client: Client, there: OpenIdProvider
) -> None:
    there.published = ("RS256",)
    assert sign_in(client, there).status_code == 303
    there.published, there.algorithm = ("RS256", "ES256"), "ES256"
    assert sign_in(client, there).status_code == 400, "asked a moment ago"
    world.clock.advance(minutes=1)
    assert sign_in(client, there).status_code == 303
    asked = [each for each in there.receiver.seen if each.target == "/keys"]
    assert len(asked) == 2


def test_nobody_comes_in_uninvited(client: Client, there: OpenIdProvider) -> None:
    there.person = {"sub": "subject-2", "preferred_username": "mallory@contoso.example"}
    assert sign_in(client, there).status_code == 400
    assert name_of(client) == ""


def test_an_account_with_its_own_way_in_is_not_taken_over(
    world: AdminWorld, client: Client, there: OpenIdProvider
) -> None:
    with world.client() as ada:
        world.sign_in(ada, "Ada")
        add_passkey(ada, Authenticator())
    there.person = {"sub": "subject-2", "preferred_username": "ada"}

    assert sign_in(client, there).status_code == 400
    assert name_of(client) == ""


def test_an_account_is_linked_by_whoever_it_belongs_to(ada: Client, client: Client, there: OpenIdProvider) -> None:
    there.person = {"sub": "subject-2"}
    fields = {"intent": "link", "return": "/account", "csrf": token_of(ada)}
    where = leaving(ada, **fields)
    assert "prompt=login" in where
    assert arrive(ada, there.authorize(where)).headers["location"] == "/account"
    assert '<span class="state good">linked</span>' in ada.get("/account").text
    assert sign_in(client, there).status_code == 303
    assert name_of(client) == "ada@contoso.example"


def test_a_fresh_sign_in_there_is_a_proof(world: AdminWorld, client: Client, there: OpenIdProvider) -> None:
    sign_in(client, there)
    world.clock.advance(minutes=11)
    assert client.get("/account/passkeys/new").status_code == 303
    fields = {"intent": "confirm", "csrf": token_of(client), "again": '{"a":"b"}', "return": "/account"}
    where = leaving(client, **fields)
    assert "max_age=0" in where
    there.lies["auth_time"] = int(world.clock.now().timestamp()) - 3600
    assert arrive(client, there.authorize(where)).status_code == 400, "they showed themselves long ago"
    del there.lies["auth_time"]

    page = arrive(client, there.authorize(leaving(client, **fields)))

    assert 'action="/account"' in page.text
    assert '<textarea name="a" hidden>\nb</textarea>' in page.text
    assert client.get("/account/passkeys/new").status_code == 200


def test_how_somebody_signed_in_there_may_be_asked_for(
    world: AdminWorld, client: Client, there: OpenIdProvider
) -> None:
    configure(world, there, required_acr=("phr",), required_amr=("hwk",), max_age_seconds=600)
    for person, status in (
        ({}, 400),
        ({"acr": "phr"}, 400),
        ({"acr": "low", "amr": ["hwk"]}, 400),
        ({"acr": "phr", "amr": "hwk"}, 400),
        ({"acr": "phr", "amr": ["pwd", "hwk"]}, 303),
        ({"acr": "phr", "amr": ["hwk"], "auth_time": ...}, 400),
    ):
        there.lies = dict(person)
        assert sign_in(client, there).status_code == status, person


def test_groups_there_are_groups_here_as_long_as_they_are_named(
    world: AdminWorld, client: Client, there: OpenIdProvider
) -> None:
    with world.writing() as connection:
        for number in (1, 2):
            groups.add(connection, a_group(number))
    first, second = a_group(1).id, a_group(2).id
    configure(world, there, admission=Admission.MAPPED, group_mappings={"g-1": first, "g-2": second})
    there.person = {"sub": "subject-3", "preferred_username": "new@contoso.example", "name": "New"}
    assert sign_in(client, there).status_code == 400, "no group that counts"

    for named, ours in (
        (["g-1", "x"], {first}),
        (["g-2", 7], {second}),
        ([], set()),
        (["g-1", "g-2"], {first, second}),
    ):
        there.person["groups"] = named
        assert sign_in(client, there).status_code == 303
        with world.services.database.read() as connection:
            person = stored_people.find_by_user_name(connection, world.services.tenant.id, "new@contoso.example")
            assert person is not None
            assert stored_people.groups_of(connection, person.id) == ours


def test_who_is_switched_off_here_does_not_come_in_there(
    world: AdminWorld, client: Client, there: OpenIdProvider
) -> None:
    sign_in(client, there)
    with world.writing() as connection:
        person = stored_people.find_by_user_name(connection, world.services.tenant.id, "grace@contoso.example")
        assert person is not None
        stored_people.change(connection, replace(person, enabled=False))

    assert sign_in(client, there).status_code == 400


def test_a_provider_that_is_not_there_is_a_page(client: Client, there: OpenIdProvider) -> None:
    assert client.post("/sign-in/federated/x", headers=ORIGIN).status_code == 404
    there.metadata_lies = {"token_endpoint": 7}
    assert client.post(f"/sign-in/federated/{PROVIDER}", headers=ORIGIN).status_code == 400
