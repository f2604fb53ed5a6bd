from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.graph_bodies import GROUPS
from tests.support.samples import TENANT_ID

from shieldwall.server.directory import apps

TOKEN = f"/{TENANT_ID}/oauth2/v2.0/token"


@pytest.fixture
def form(world: AdminWorld) -> dict[str, str]:
    """What an application sends to get a token."""
    return new_form(world)


def new_form(world: AdminWorld) -> dict[str, str]:
    with world.writing() as connection:
        app, secret = apps.create_app(
            connection, world.services.acting("console"), display_name="Automation", permissions=("Group.Read.All",)
        )
    return {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": secret,
        "scope": "https://graph.microsoft.com/.default",
    }


def test_a_token_says_who_may_do_what_for_how_long(world: AdminWorld, form: dict[str, str]) -> None:
    answer = world.client().post(TOKEN, data=form)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    claims = jwt.decode(body["access_token"], KeySet.import_key_set(world.client().get(keys_url(world)).json())).claims
    now = int(world.clock.now().timestamp())
    assert claims | {"uti": ""} == {
        "aud": "https://graph.microsoft.com",
        "iss": f"{PUBLIC_URL}/{TENANT_ID}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "tid": TENANT_ID,
        "oid": form["client_id"],
        "sub": form["client_id"],
        "appid": form["client_id"],
        "azp": form["client_id"],
        "app_displayname": "Automation",
        "idtyp": "app",
        "roles": ["Group.Read.All"],
        "ver": "2.0",
        "uti": "",
    }


def keys_url(world: AdminWorld) -> str:
    found = world.client().get("/contoso.example/v2.0/.well-known/openid-configuration").json()
    return str(found["jwks_uri"])


def test_discovery_leads_to_token_and_keys_by_id_and_by_domain(world: AdminWorld) -> None:
    client = world.client()
    by_id = client.get(f"/{TENANT_ID}/v2.0/.well-known/openid-configuration").json()

    assert client.get("/Contoso.Example/v2.0/.well-known/openid-configuration").json() == by_id
    assert by_id["issuer"] == f"{PUBLIC_URL}/{TENANT_ID}/v2.0"
    assert by_id["token_endpoint"] == PUBLIC_URL + TOKEN
    (key,) = client.get(by_id["jwks_uri"]).json()["keys"]
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
    assert "d" not in key


@pytest.mark.parametrize(
    "named",
    [
        {"scope": "https://graph.microsoft.com/.default"},
        {"scope": "https://graph.microsoft.com//.default"},
        {"scope": "00000003-0000-0000-c000-000000000000/.default"},
        {"scope": f"{PUBLIC_URL}/.default"},
        {"scope": "https://localhost/.default"},
        {"scope": "", "resource": "https://graph.microsoft.com"},
        {"scope": "", "resource": f"{PUBLIC_URL}/"},
    ],
    ids=str,
)
def test_every_name_of_ours_gives_a_token_that_we_take(embedded: AdminWorld, named: dict[str, str]) -> None:
    client = embedded.client()
    token = client.post(TOKEN, data={**new_form(embedded), **named, "claims": "{}", "client_info": "1"}).json()

    answer = client.get(GROUPS, headers={"Authorization": f"bearer {token['access_token']}"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"scope": "https://evil.example/.default"}, 400, "invalid_scope"),
        ({"scope": "https://graph.microsoft.com/Group.Read.All"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": "x" * 10_000}, 401, "invalid_client"),
        ({"client_id": "00000000-0000-4000-8000-000000000000"}, 401, "invalid_client"),
        ({"client_id": "\0"}, 400, "invalid_request"),
        ({"client_id": "' OR 1=1 --"}, 401, "invalid_client"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_token_endpoint_refuses_in_the_words_of_oauth(
    world: AdminWorld, form: dict[str, str], changes: dict[str, str], status: int, error: str
) -> None:
    answer = world.client().post(TOKEN, data=form | changes)

    body = answer.json()
    assert (answer.status_code, body["error"]) == (status, error)
    assert body["error_description"].startswith(f"AADSTS{body['error_codes'][0]}: ")
    assert answer.headers["cache-control"] == "no-store"


def test_a_wrong_secret_and_an_unknown_application_look_the_same(world: AdminWorld, form: dict[str, str]) -> None:
    client = world.client()
    expired = new_form(world)
    wrong = client.post(TOKEN, data=form | {"client_secret": "wrong"}).json()
    unknown = client.post(TOKEN, data=form | {"client_id": TENANT_ID}).json()
    world.clock.advance(days=180)
    late = client.post(TOKEN, data=expired).json()

    shapes = [
        {name: value for name, value in body.items() if name not in {"timestamp", "trace_id", "correlation_id"}}
        for body in (wrong, unknown, late)
    ]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"{}", "application/json"),
        (b"=&=", "application/x-www-form-urlencoded"),
        (b"grant_type", "application/x-www-form-urlencoded"),
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded"),
        (b"a=b&" * 60 + b"c=d", "application/x-www-form-urlencoded"),
        (b"grant_type=\xff", "application/x-www-form-urlencoded"),
    ],
    ids=range(6),
)
def test_a_form_that_is_none_is_refused(embedded: AdminWorld, content: bytes, media_type: str) -> None:
    answer = embedded.client().post(TOKEN, content=content, headers={"Content-Type": media_type})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_secret_may_stand_in_the_header_but_not_twice(world: AdminWorld, form: dict[str, str]) -> None:
    client = world.client()
    bare = {name: form[name] for name in ("grant_type", "scope")}

    assert client.post(TOKEN, data=bare, auth=(form["client_id"], form["client_secret"])).status_code == 200
    assert client.post(TOKEN, data=form, auth=(form["client_id"], form["client_secret"])).status_code == 400
    wrong = client.post(TOKEN, data=bare, auth=(form["client_id"], "wrong"))
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Basic")
    for header in ("Basic !", "Basic " + base64.b64encode(b"\xff").decode(), "Bearer x", "Basic"):
        assert client.post(TOKEN, data=bare, headers={"Authorization": header}).status_code == 400


def test_an_unknown_tenant_gives_400_everywhere(embedded: AdminWorld) -> None:
    client = embedded.client()
    form = new_form(embedded)
    answers = [
        client.post("/other.example/oauth2/v2.0/token", data=form),
        client.get("/other.example/v2.0/.well-known/openid-configuration"),
        client.get("/other.example/discovery/v2.0/keys"),
        client.post("/other.example/oauth2/token", data=form),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(400, "invalid_tenant")] * 4


Forge = Callable[[AdminWorld, dict[str, Any], dict[str, Any]], str]


def signed(world: AdminWorld, claims: dict[str, Any], _header: dict[str, Any]) -> str:
    return world.signer.sign_token(claims)


def by_another_key(_world: AdminWorld, claims: dict[str, Any], header: dict[str, Any]) -> str:
    return jwt.encode(header, claims, RSAKey.generate_key(2048))


def unsigned(_world: AdminWorld, claims: dict[str, Any], _header: dict[str, Any]) -> str:
    return assembled({"alg": "none", "typ": "JWT"}, claims, b"")


def by_the_public_key_as_a_secret(world: AdminWorld, claims: dict[str, Any], header: dict[str, Any]) -> str:
    public = RSAKey.import_key(world.signer.jwks()["keys"][0]).as_pem(private=False)
    hs256 = {**header, "alg": "HS256"}
    token = assembled(hs256, claims, b"")
    mac = hmac.HMAC(public, hashes.SHA256())
    mac.update(token.rstrip(".").encode())
    return token + encoded(mac.finalize())


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def assembled(header: Any, claims: Any, signature: bytes) -> str:
    return ".".join(encoded(part) for part in (json.dumps(header).encode(), json.dumps(claims).encode(), signature))


def with_header(**changes: Any) -> Forge:
    """A signature of ours, and a header changed after it."""

    def forge(world: AdminWorld, claims: dict[str, Any], header: dict[str, Any]) -> str:
        _, body, signature = world.signer.sign_token(claims).split(".")
        return f"{encoded(json.dumps({**header, **changes}).encode())}.{body}.{signature}"

    return forge


FORGERIES: dict[str, tuple[Forge, dict[str, Any]]] = {
    "no algorithm": (unsigned, {}),
    "HS256 with the public key": (by_the_public_key_as_a_secret, {}),
    "another key": (by_another_key, {}),
    "a kid that is a path": (with_header(kid="../../etc/passwd"), {}),
    "a kid that is an address": (with_header(kid="https://evil.example/keys"), {}),
    "a kid that is a list": (with_header(kid=["a"]), {}),
    "a kid that is a number": (with_header(kid=7), {}),
    "a jku": (with_header(jku="https://evil.example/keys"), {}),
    "a key of its own": (with_header(jwk={"kty": "oct", "k": "AA"}), {}),
    "a critical extension": (with_header(crit=["x"], x=1), {}),
    "RS512": (with_header(alg="RS512"), {}),
    "an algorithm that is a list": (with_header(alg=["RS256"]), {}),
    "expired": (signed, {"iat": -3600, "nbf": -3600, "exp": 0}),
    "not yet valid": (signed, {"nbf": 61}),
    "another audience": (signed, {"aud": "https://evil.example"}),
    "another issuer": (signed, {"iss": "https://evil.example"}),
    "another tenant": (signed, {"tid": "00000000-0000-4000-8000-00000000000b"}),
    "not an application's": (signed, {"idtyp": "user"}),
}


@pytest.mark.parametrize(("forge", "changes"), FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_is_refused_without_a_word_about_why(
    embedded: AdminWorld, forge: Forge, changes: dict[str, Any]
) -> None:
    client = embedded.client()
    good = client.post(TOKEN, data=new_form(embedded)).json()["access_token"]
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "===")) for part in good.split(".")[:2])
    now = int(embedded.clock.now().timestamp())
    moved = {name: now + value if name in {"iat", "nbf", "exp"} else value for name, value in changes.items()}
    if moved.get("exp") == now:  # the signer signs no token of the past; the clock goes on instead
        token = forge(embedded, claims, header)
        embedded.clock.advance(hours=1)
    else:
        token = forge(embedded, claims | moved, header)

    answer = client.get(GROUPS, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert answer.json()["error"]["message"].startswith("The access token is not valid.")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a", "Bearer a.b", "Bearer a.b.c", "Bearer ..", "Bearer a.b.c.d.e"],
)
def test_what_is_no_token_is_refused(embedded: AdminWorld, header: str) -> None:
    answer = embedded.client().get(GROUPS, headers={"Authorization": header})

    assert answer.status_code == 401


@pytest.mark.parametrize("part", [[], 7, "x", None, {"alg": 7}, {"alg": None}, {"kid": {}}, {}], ids=str)
def test_a_token_of_odd_parts_is_refused(embedded: AdminWorld, part: Any) -> None:
    for token in (assembled(part, {}, b"x"), assembled({"alg": "RS256"}, part, b"x")):
        answer = embedded.client().get(GROUPS, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


def test_a_token_with_a_key_nobody_knows_is_refused(embedded: AdminWorld) -> None:
    token = jwt.encode({"alg": "HS256"}, {}, OctKey.generate_key(256))

    assert embedded.client().get(GROUPS, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_token_lasts_its_hour(world: AdminWorld) -> None:
    client: Client = world.application_client("Group.Read.All")
    world.clock.advance(minutes=59)
    assert client.get(GROUPS).status_code == 200
    world.clock.advance(minutes=1)
    assert client.get(GROUPS).status_code == 401


def test_a_token_ends_with_its_application(world: AdminWorld, form: dict[str, str]) -> None:
    client = world.client()
    token = client.post(TOKEN, data=form).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.get(GROUPS, headers=bearer).status_code == 200

    with world.writing() as connection:
        apps.delete_app(connection, world.services.acting("console"), form["client_id"])

    assert client.get(GROUPS, headers=bearer).status_code == 401
