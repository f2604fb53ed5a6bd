"""Proof of possession over HTTP: what is bound, what is refused, and what clients without a key notice: nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import GROUPS
from tests.support.identity_clients import TOKEN, code_for, exchange, public_app
from tests.support.possession import Holder, holder
from tests.support.samples import TENANT_ID

from shieldwall.server.configuration.settings_file import IdentitySettings
from shieldwall.server.directory import apps
from shieldwall.server.directory.possession import WINDOW
from shieldwall.server.storage.identity_records import App

ENDPOINT: Final = PUBLIC_URL + TOKEN
GROUPS_ADDRESS: Final = PUBLIC_URL + GROUPS
ME: Final = holder("ES256")
ANOTHER: Final = holder("ES256", 2)
Scene = tuple[AdminWorld, Client, dict[str, str]]


@pytest.fixture
def form(world: AdminWorld) -> dict[str, str]:
    return form_of(world)


@pytest.fixture
def bound(embedded: AdminWorld) -> str:
    """A token that is bound to my key."""
    return str(asked(embedded, form_of(embedded)).json()["access_token"])


def form_of(world: AdminWorld, *permissions: str, **changes: Any) -> dict[str, str]:
    """What an application sends to get a token."""
    with world.writing() as connection:
        acting = world.services.acting("console")
        allowed = permissions or ("Group.Read.All",)
        app, secret = apps.create_app(connection, acting, display_name="Automation", permissions=allowed)
        apps.change_app(connection, acting, app, **changes)
    return {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": secret,
        "scope": "https://graph.microsoft.com/.default",
    }


def now(world: AdminWorld) -> float:
    return world.clock.now().timestamp()


def asked(
    world: AdminWorld, form: dict[str, str], who: Holder = ME, /, *, path: str = TOKEN, **changes: Any
) -> httpx.Response:
    """Ask for a token with a proof."""
    proof = who.prove("POST", PUBLIC_URL + path, now(world), **changes)
    return world.client().post(path, data=form, headers={"DPoP": proof})


def got(world: AdminWorld, token: str, who: Holder = ME, /, *, path: str = GROUPS, **changes: Any) -> httpx.Response:
    """Read something with a token and a proof."""
    claims = {"token": token} | changes
    proof = who.prove("GET", PUBLIC_URL + path, now(world), **claims)
    return world.client().get(path, headers={"Authorization": f"DPoP {token}", "DPoP": proof})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    return answer.status_code, body["error"] if isinstance(body["error"], str) else body["error"]["innerError"]["code"]


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "RS256", "EdDSA"])
def test_a_key_of_each_algorithm_binds_a_token_that_it_then_uses(embedded: AdminWorld, algorithm: str) -> None:
    who = holder(algorithm)
    answer = asked(embedded, form_of(embedded), who)

    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "DPoP"
    keys = embedded.client().get(f"/{TENANT_ID}/discovery/v2.0/keys").json()
    token = answer.json()["access_token"]
    assert jwt.decode(token, KeySet.import_key_set(keys)).claims["cnf"] == {"jkt": who.thumbprint}
    assert got(embedded, token, who).status_code == 200


def test_the_same_on_every_database(world: AdminWorld, form: dict[str, str]) -> None:
    proof = ME.prove("POST", ENDPOINT, now(world))
    first, second = (world.client().post(TOKEN, data=form, headers={"DPoP": proof}) for _ in range(2))

    assert first.status_code == 200
    assert refusal(second) == (400, "invalid_dpop_proof")
    assert got(world, first.json()["access_token"]).status_code == 200


def test_without_a_proof_nothing_is_other_than_before(embedded: AdminWorld) -> None:
    body = embedded.client().post(TOKEN, data=form_of(embedded)).json()

    assert body["token_type"] == "Bearer"
    client = embedded.client()
    assert client.get(GROUPS, headers={"Authorization": f"Bearer {body['access_token']}"}).status_code == 200
    wrong = client.get(GROUPS, headers={"Authorization": "Bearer x"})
    assert wrong.headers["www-authenticate"].startswith("Bearer ")
    assert "dpop-nonce" not in wrong.headers


def test_the_older_endpoint_binds_as_well(embedded: AdminWorld) -> None:
    older = f"/{TENANT_ID}/oauth2/token"
    form = form_of(embedded) | {"scope": "", "resource": "https://graph.microsoft.com"}

    assert asked(embedded, form, path=older).json()["token_type"] == "DPoP"
    assert refusal(asked(embedded, form, path=older, htu=ENDPOINT)) == (400, "invalid_dpop_proof")


def test_discovery_names_the_algorithms(embedded: AdminWorld) -> None:
    found = embedded.client().get(f"/{TENANT_ID}/v2.0/.well-known/openid-configuration").json()
    assert found["dpop_signing_alg_values_supported"] == ["ES256", "PS256", "RS256", "EdDSA"]


SAME_ADDRESS: Final = {
    "host in capitals": lambda address: address.replace("localhost", "LOCALHOST").replace("https", "HTTPS"),
    "encoded": lambda address: address.replace("v1.0", "v1%2E0").replace("oauth2", "o%61uth2"),
}
WRONG_ADDRESS: Final = {
    "query": lambda address: address + "?a=b",
    "empty query": lambda address: address + "?",
    "fragment": lambda address: address + "#a",
    "host": lambda _: "https://evil.example" + TOKEN,
    "port": lambda address: address.replace("localhost", "localhost:1").replace(":1:8443", ":1"),
    "scheme": lambda address: address.replace("https", "http"),
    "capitals in the path": lambda address: address.replace("/token", "/Token").replace("/groups", "/Groups"),
    "slash at the end": lambda address: address + "/",
    "another path": lambda _: PUBLIC_URL + "/oidc/userinfo",
    "a user": lambda address: address.replace("://", "://me@"),
    "no address": lambda _: "token",
    "backslash": lambda address: address.replace("//", "\\\\"),
    "a bad port": lambda address: address.replace("localhost", "localhost:x"),
    "bad brackets": lambda _: "https://[::1" + TOKEN,
    "nothing": lambda _: "",
    "a number": lambda _: 1,
}


@pytest.mark.parametrize("change", SAME_ADDRESS.values(), ids=SAME_ADDRESS)
def test_an_address_may_be_written_in_each_of_its_ways(
    embedded: AdminWorld, bound: str, change: Callable[[str], Any]
) -> None:
    assert asked(embedded, form_of(embedded), htu=change(ENDPOINT)).status_code == 200
    assert got(embedded, bound, htu=change(GROUPS_ADDRESS)).status_code == 200


@pytest.mark.parametrize("change", WRONG_ADDRESS.values(), ids=WRONG_ADDRESS)
def test_another_address_is_refused(embedded: AdminWorld, bound: str, change: Callable[[str], Any]) -> None:
    assert refusal(asked(embedded, form_of(embedded), htu=change(ENDPOINT))) == (400, "invalid_dpop_proof")
    assert refusal(got(embedded, bound, htu=change(GROUPS_ADDRESS))) == (401, "invalidProof")


def test_the_query_of_a_request_is_no_part_of_the_address(embedded: AdminWorld, bound: str) -> None:
    assert got(embedded, bound, path=f"{GROUPS}?$top=5", htu=GROUPS_ADDRESS).status_code == 200


def test_the_address_is_compared_as_the_client_wrote_it(embedded: AdminWorld, bound: str) -> None:
    """Graph reads many ways of writing a path; the proof is of the one that was sent."""
    assert got(embedded, bound, path=f"{GROUPS}/").status_code == 200
    assert refusal(got(embedded, bound, path=f"{GROUPS}/", htu=GROUPS_ADDRESS)) == (401, "invalidProof")


BAD_CLAIMS: Final[dict[str, dict[str, Any]]] = {
    "another method": {"htm": "PUT"},
    "method in small letters": {"htm": "post"},
    "no method": {"htm": None},
    "no address": {"htu": None},
    "no time": {"iat": None},
    "time as text": {"iat": "1"},
    "time as flag": {"iat": True},
    "a time that is none": {"iat": 1e308},
    "no jti": {"jti": None},
    "empty jti": {"jti": ""},
    "long jti": {"jti": "j" * 257},
    "jti as number": {"jti": 1},
    "nonce as number": {"nonce": 1},
}
BAD_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "alg none": {"alg": "none"},
    "HS256": {"alg": "HS256"},
    "HS256 with a secret key": {"alg": "HS256", "jwk": {"kty": "oct", "k": "c2VjcmV0"}},
    "ES384": {"alg": "ES384"},
    "another algorithm of the key": {"alg": "RS256"},
    "alg as list": {"alg": ["ES256"]},
    "no alg": {"alg": None},
    "typ JWT": {"typ": "JWT"},
    "no typ": {"typ": None},
    "kid": {"kid": "../../etc/passwd"},
    "jku": {"jku": "https://evil.example/keys"},
    "x5u": {"x5u": "https://evil.example/chain"},
    "x5c": {"x5c": []},
    "crit": {"crit": ["exp"]},
    "b64": {"b64": False},
    "no key": {"jwk": None},
    "key as text": {"jwk": "key"},
    "private key": {"jwk": ME.jwk | {"d": ME.jwk["x"]}},
    "empty private part": {"jwk": ME.jwk | {"d": ""}},
    "key of another": {"jwk": ANOTHER.jwk},
    "key beside the curve": {"jwk": ME.jwk | {"x": ME.jwk["y"], "y": ME.jwk["x"]}},
    "another curve": {"jwk": ME.jwk | {"crv": "P-384"}},
    "short coordinate": {"jwk": ME.jwk | {"x": "AAAA"}},
    "coordinate with padding": {"jwk": ME.jwk | {"x": ME.jwk["x"] + "="}},
    "coordinate as number": {"jwk": ME.jwk | {"x": 1}},
    "kind as list": {"jwk": ME.jwk | {"kty": ["EC"]}},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_claims_that_do_not_fit_are_refused(embedded: AdminWorld, bound: str, claims: dict[str, Any]) -> None:
    assert refusal(asked(embedded, form_of(embedded), **claims)) == (400, "invalid_dpop_proof")
    assert refusal(got(embedded, bound, **claims)) == (401, "invalidProof")


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_headers_that_do_not_fit_are_refused(embedded: AdminWorld, bound: str, header: dict[str, Any]) -> None:
    assert refusal(asked(embedded, form_of(embedded), header=header)) == (400, "invalid_dpop_proof")
    answer = got(embedded, bound, header=header)
    assert refusal(answer) == (401, "invalidProof")
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("DPoP ")
    assert 'error="invalid_dpop_proof"' in challenge
    assert 'algs="ES256 PS256 RS256 EdDSA"' in challenge


def test_small_and_odd_rsa_keys_are_refused(embedded: AdminWorld) -> None:
    form = form_of(embedded)
    assert refusal(asked(embedded, form, holder("RS256", 2, bits=1024))) == (400, "invalid_dpop_proof")
    good = holder("RS256")
    for changes in ({"e": "AQAAAAE"}, {"e": "AAEAAQ"}, {"e": "AQ"}, {"n": "A" + good.jwk["n"]}, {"e": ""}):
        odd = {"jwk": good.jwk | changes}
        assert refusal(asked(embedded, form, good, header=odd)) == (400, "invalid_dpop_proof"), changes


@pytest.mark.parametrize(
    "proof", ["", "x", "a.b.c", "..", "e30.e30.", "é.é.é", "x" * 9_000, "W10.W10.AAAA", "e30.e30.AAAA.AAAA"]
)
def test_what_is_no_proof_is_refused(embedded: AdminWorld, bound: str, proof: str) -> None:
    client, sent = embedded.client(), (b"DPoP", proof.encode("latin-1"))
    answer = client.post(TOKEN, data=form_of(embedded), headers=[sent])
    assert refusal(answer) == (400, "invalid_dpop_proof")
    answer = client.get(GROUPS, headers=[(b"Authorization", f"DPoP {bound}".encode()), sent])
    assert refusal(answer) == (401, "invalidProof")


def test_two_proofs_are_none(embedded: AdminWorld, bound: str) -> None:
    client = embedded.client()
    two = [("DPoP", ME.prove("POST", ENDPOINT, now(embedded))) for _ in range(2)]
    assert refusal(client.post(TOKEN, data=form_of(embedded), headers=two)) == (400, "invalid_dpop_proof")
    two = [("DPoP", ME.prove("GET", GROUPS_ADDRESS, now(embedded), token=bound)) for _ in range(2)]
    answer = client.get(GROUPS, headers=[("Authorization", f"DPoP {bound}"), *two])
    assert refusal(answer) == (401, "invalidProof")


@pytest.mark.parametrize(("seconds", "is_good"), [(-61, False), (-60, True), (60, True), (61, False)])
def test_a_proof_is_of_now(embedded: AdminWorld, bound: str, seconds: int, *, is_good: bool) -> None:
    made = now(embedded) + seconds
    assert asked(embedded, form_of(embedded), iat=made).status_code == (200 if is_good else 400)
    assert got(embedded, bound, iat=made).status_code == (200 if is_good else 401)


def test_a_proof_is_good_once_with_a_token_too(embedded: AdminWorld, bound: str) -> None:
    assert got(embedded, bound, jti="once").status_code == 200
    assert refusal(got(embedded, bound, jti="once")) == (401, "invalidProof")
    embedded.clock.advance(seconds=WINDOW.total_seconds())
    assert refusal(got(embedded, bound, jti="once", iat=now(embedded) - 60)) == (401, "invalidProof")


def test_a_proof_that_is_refused_is_not_used_up(embedded: AdminWorld, bound: str) -> None:
    assert refusal(got(embedded, bound, ANOTHER, jti="later")) == (401, "invalidProof")
    assert refusal(got(embedded, bound, jti="later", ath="x")) == (401, "invalidProof")
    assert got(embedded, bound, jti="later").status_code == 200


def test_a_token_goes_with_its_key_alone(embedded: AdminWorld, bound: str) -> None:
    other = asked(embedded, form_of(embedded)).json()["access_token"]
    assert refusal(got(embedded, bound, ANOTHER)) == (401, "invalidProof")
    assert refusal(got(embedded, bound, token=other)) == (401, "invalidProof")
    assert refusal(got(embedded, bound, token=None)) == (401, "invalidProof")


@pytest.mark.parametrize("path", [GROUPS, "/beta/deviceManagement/configurationPolicies", "/oidc/userinfo"])
def test_a_bound_token_is_no_bearer_token(embedded: AdminWorld, bound: str, path: str) -> None:
    proof = ME.prove("GET", PUBLIC_URL + path, now(embedded), token=bound)
    for headers in ({}, {"DPoP": proof}):
        answer = embedded.client().get(path, headers={"Authorization": f"Bearer {bound}"} | headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("DPoP ")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    answer = embedded.client().get(path, headers={"Authorization": f"DPoP {bound}"})
    assert answer.status_code == 401
    assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]


def test_a_token_that_is_not_bound_is_no_bound_one(embedded: AdminWorld) -> None:
    token = embedded.client().post(TOKEN, data=form_of(embedded)).json()["access_token"]

    answer = got(embedded, token)
    proof = ME.prove("GET", GROUPS_ADDRESS, now(embedded), token=token)
    beside = {"Authorization": f"Bearer {token}", "DPoP": proof}

    assert embedded.client().get(GROUPS, headers=beside).status_code == 200
    assert refusal(answer) == (401, "wrongTokenScheme")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_that_was_taken_back_says_so_in_its_own_scheme(embedded: AdminWorld) -> None:
    form = form_of(embedded)
    token = asked(embedded, form).json()["access_token"]
    embedded.clock.advance(seconds=5)
    with embedded.writing() as connection:
        app = apps.get_app(connection, embedded.services.tenant.id, form["client_id"])
        apps.revoke_tokens(connection, embedded.services.acting("console"), app)

    challenge = got(embedded, token).headers["www-authenticate"]

    assert challenge.startswith("DPoP ")
    assert 'error="insufficient_claims"' in challenge


def test_defenders_api_asks_for_the_same(embedded: AdminWorld) -> None:
    form = form_of(embedded, "Machine.Read.All") | {"scope": "https://api.securitycenter.microsoft.com/.default"}
    token = asked(embedded, form).json()["access_token"]
    machines = "/api/machines"

    assert got(embedded, token, path=machines).status_code == 200
    assert got(embedded, token, ANOTHER, path=machines).status_code == 401
    bearer = embedded.client().get(machines, headers={"Authorization": f"Bearer {token}"})
    assert bearer.status_code == 401


def test_a_batch_proves_for_all_that_it_carries(embedded: AdminWorld, bound: str) -> None:
    proof = ME.prove("POST", f"{PUBLIC_URL}/v1.0/$batch", now(embedded), token=bound)
    requests = [{"id": str(number), "method": "GET", "url": "/groups"} for number in range(2)]
    requests[1]["headers"] = {"DPoP": "of no meaning"}  # type: ignore[assignment]

    answer = embedded.client().post(
        "/v1.0/$batch",
        json={"requests": requests},
        headers={"Authorization": f"DPoP {bound}", "DPoP": proof},
    )

    assert answer.status_code == 200, answer.text
    assert [each["status"] for each in answer.json()["responses"]] == [200, 200]


def test_an_application_may_be_marked_to_prove_always(embedded: AdminWorld) -> None:
    client, form = embedded.client(), form_of(embedded)
    unbound = client.post(TOKEN, data=form).json()["access_token"]
    embedded.clock.advance(seconds=5)
    with embedded.writing() as connection:
        app = apps.get_app(connection, embedded.services.tenant.id, form["client_id"])
        apps.change_app(connection, embedded.services.acting("console"), app, requires_proof=True)

    assert refusal(client.post(TOKEN, data=form)) == (400, "invalid_dpop_proof")
    old = client.get(GROUPS, headers={"Authorization": f"Bearer {unbound}"})
    assert refusal(old) == (401, "tokenRevoked")
    assert got(embedded, asked(embedded, form).json()["access_token"]).status_code == 200
    wrong = client.post(TOKEN, data=form | {"client_secret": "wrong"})
    assert refusal(wrong) == (401, "invalid_client")


def test_the_mark_is_made_over_the_api(graph: Client) -> None:
    made = graph.post("/v1.0/applications", json={"displayName": "Bound", "shieldwall": {"requiresProof": True}})
    assert made.status_code == 201, made.text
    assert made.json()["shieldwall"]["requiresProof"] is True
    where = f"/v1.0/applications/{made.json()['id']}"
    assert graph.patch(where, json={"shieldwall": {"requiresProof": False}}).status_code == 204
    assert graph.get(where).json()["shieldwall"]["requiresProof"] is False


@pytest.fixture
def nonced(embedded: AdminWorld) -> AdminWorld:
    """A server whose settings ask for nonces."""
    wanting = replace(embedded.services.settings, identity=IdentitySettings(proof_nonce=True))
    return replace(embedded, services=replace(embedded.services, settings=wanting))


def test_where_a_nonce_is_wanted_it_is_handed_out_and_taken(nonced: AdminWorld) -> None:
    form = form_of(nonced)
    first = asked(nonced, form)
    assert refusal(first) == (400, "use_dpop_nonce")
    nonce = first.headers["dpop-nonce"]

    assert refusal(asked(nonced, form, nonce="another")) == (400, "use_dpop_nonce")
    answer = asked(nonced, form, nonce=nonce)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert got(nonced, token, nonce=nonce).status_code == 200
    wanted = got(nonced, token)
    assert refusal(wanted) == (401, "proofNonceWanted")
    assert wanted.headers["dpop-nonce"] == nonce
    assert 'error="use_dpop_nonce"' in wanted.headers["www-authenticate"]
    nonced.clock.advance(minutes=10)
    assert refusal(asked(nonced, form, nonce=nonce)) == (400, "use_dpop_nonce")
    assert nonced.client().post(TOKEN, data=form).json()["token_type"] == "Bearer"


def test_who_has_to_prove_is_told_the_nonce_at_once(nonced: AdminWorld) -> None:
    answer = nonced.client().post(TOKEN, data=form_of(nonced, requires_proof=True))
    assert refusal(answer) == (400, "use_dpop_nonce")
    assert answer.headers["dpop-nonce"]


def refreshing(app: App, token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "client_id": app.client_id, "refresh_token": token}


def test_refresh_tokens_of_public_applications_are_bound(world: AdminWorld) -> None:
    app = public_app(world)
    first = asked(world, exchange(app, code_for(world, app))).json()
    assert first["token_type"] == "DPoP"
    assert got(world, first["access_token"], path="/oidc/userinfo").status_code == 200

    stolen = refreshing(app, first["refresh_token"])
    assert refusal(world.client().post(TOKEN, data=stolen)) == (400, "invalid_dpop_proof")
    assert refusal(asked(world, stolen, ANOTHER)) == (400, "invalid_dpop_proof")
    second = asked(world, stolen)  # neither used it up nor took it back
    assert second.status_code == 200, second.text
    assert refusal(asked(world, stolen, ANOTHER)) == (400, "invalid_dpop_proof")
    third = asked(world, refreshing(app, second.json()["refresh_token"]))
    assert third.json()["token_type"] == "DPoP"
    assert refusal(asked(world, stolen)) == (400, "invalid_grant")
    assert refusal(asked(world, refreshing(app, third.json()["refresh_token"]))) == (400, "invalid_grant")


def test_a_proof_that_comes_again_uses_no_code_up(embedded: AdminWorld) -> None:
    app = public_app(embedded)
    form = exchange(app, code_for(embedded, app))
    assert asked(embedded, form_of(embedded), jti="spent").status_code == 200

    assert refusal(asked(embedded, form, jti="spent")) == (400, "invalid_dpop_proof")
    assert asked(embedded, form).status_code == 200


def test_user_info_tells_what_is_wrong_in_its_own_words(embedded: AdminWorld) -> None:
    app = public_app(embedded)
    token = asked(embedded, exchange(app, code_for(embedded, app))).json()["access_token"]
    answer = got(embedded, token, ANOTHER, path="/oidc/userinfo")
    assert refusal(answer) == (401, "invalid_dpop_proof")
    assert answer.headers["www-authenticate"].startswith("DPoP ")
