"""Applications that show a certificate: what is taken, and every statement that is not (RFC 7523)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.admin import PUBLIC_URL, AdminWorld
from tests.support.graph_bodies import GROUPS
from tests.support.identity_clients import (
    TOKEN,
    Certified,
    app_with_certificate,
    asked_with,
    certified,
    statement,
)
from tests.support.samples import NOON, TENANT_ID

from shieldwall.server.directory import app_credentials
from shieldwall.server.directory.invalid_app import InvalidAppError

RSA, EC = certified("RSA"), certified("EC")
ISSUER = f"{PUBLIC_URL}/{TENANT_ID}/v2.0"


@pytest.mark.parametrize("named", ["x5t", "x5t#S256", "kid", "x5t with padding", "none"])
@pytest.mark.parametrize(("algorithm", "keys"), [("RS256", RSA), ("PS256", RSA), ("ES256", EC)], ids=["RS", "PS", "ES"])
def test_a_certificate_gives_a_token(embedded: AdminWorld, algorithm: str, keys: Certified, named: str) -> None:
    app = app_with_certificate(embedded, keys.certificate)
    names = {**keys.thumbprints, "kid": base64.urlsafe_b64decode(keys.thumbprints["x5t"] + "=").hex().upper()}
    header = {"alg": algorithm, "typ": "JWT", **({named: names[named]} if named in names else {})}
    if named == "x5t with padding":  # as msal writes it
        header["x5t"] = names["x5t"] + "="
    client = embedded.client()

    answer = client.post(TOKEN, data=asked_with(keys.sign(header, statement(embedded, app))))

    assert answer.status_code == 200, answer.text
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client.get(GROUPS, headers=bearer).status_code == 200


def test_the_address_of_the_endpoint_may_be_written_in_each_of_its_ways(embedded: AdminWorld) -> None:
    app = app_with_certificate(embedded, RSA.certificate)
    client = embedded.client()
    audiences = [ISSUER, f"{PUBLIC_URL}/contoso.example/oauth2/v2.0/token", f"{PUBLIC_URL}/{TENANT_ID}/oauth2/token"]
    for number, audience in enumerate(audiences):
        said = statement(embedded, app, jti=str(number), aud=audience)
        assert client.post(TOKEN, data=asked_with(RSA.sign({"alg": "RS256"}, said))).status_code == 200, audience


def test_the_strict_profile_is_taken_by_its_name(embedded: AdminWorld) -> None:
    app = app_with_certificate(embedded, EC.certificate)
    header = {"alg": "ES256", "typ": "client-authentication+jwt"}
    now = int(embedded.clock.now().timestamp())
    client = embedded.client()
    good = statement(embedded, app, aud=ISSUER, iat=now, exp=now + 60)
    assert client.post(TOKEN, data=asked_with(EC.sign(header, good))).status_code == 200

    changes: tuple[dict[str, Any], ...] = ({"exp": now + 61}, {"aud": f"{PUBLIC_URL}{TOKEN}"})
    for number, change in enumerate(changes):
        said = good | {"jti": f"other {number}"} | change
        assert client.post(TOKEN, data=asked_with(EC.sign(header, said))).status_code == 401, change
    rsa = app_with_certificate(embedded, RSA.certificate)
    said = statement(embedded, rsa, aud=ISSUER, iat=now, exp=now + 60)
    assert client.post(TOKEN, data=asked_with(RSA.sign(header | {"alg": "RS256"}, said))).status_code == 401


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "an audience that is a list": {"aud": [f"{PUBLIC_URL}{TOKEN}"]},
    "an audience of somebody else": {"aud": "https://evil.example/token"},
    "an audience with more behind it": {"aud": f"{PUBLIC_URL}{TOKEN}/"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "00000000-0000-4000-8000-000000000000"},
    "no issuer": {"iss": None},
    "no end": {"exp": None},
    "an end that is a text": {"exp": "4102444800"},
    "an end that is no number": {"exp": True},
    "an end beyond all time": {"exp": 10**18},
    "eleven minutes": {"exp": int((NOON + timedelta(minutes=11)).timestamp())},
    "a day": {"exp": int((NOON + timedelta(days=1)).timestamp()), "nbf": None},
    "ended six minutes ago": {
        "exp": int((NOON - timedelta(minutes=6)).timestamp()),
        "nbf": int((NOON - timedelta(minutes=9)).timestamp()),
    },
    "begins in six minutes": {
        "nbf": int((NOON + timedelta(minutes=6)).timestamp()),
        "exp": int((NOON + timedelta(minutes=9)).timestamp()),
    },
    "made in six minutes": {"iat": int((NOON + timedelta(minutes=6)).timestamp())},
    "no jti": {"jti": None},
    "an empty jti": {"jti": ""},
    "a jti that is a number": {"jti": 7},
    "a long jti": {"jti": "x" * 257},
}


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
def test_a_statement_that_says_the_wrong_thing_is_refused(embedded: AdminWorld, changes: dict[str, Any]) -> None:
    app = app_with_certificate(embedded, RSA.certificate)
    said = statement(embedded, app, jti=str(changes)) | changes
    said = {name: value for name, value in said.items() if value is not None}

    answer = embedded.client().post(TOKEN, data=asked_with(RSA.sign({"alg": "RS256"}, said)))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("minutes", [-4, 4])
def test_clocks_may_differ_by_a_few_minutes(embedded: AdminWorld, minutes: int) -> None:
    app = app_with_certificate(embedded, RSA.certificate)
    moved = {
        name: int((NOON + timedelta(minutes=minutes + at)).timestamp()) for name, at in {"nbf": 0, "exp": 10}.items()
    }
    said = statement(embedded, app, jti=f"clock {minutes}", **moved)

    assert embedded.client().post(TOKEN, data=asked_with(RSA.sign({"alg": "RS256"}, said))).status_code == 200


def test_times_may_have_fractions(embedded: AdminWorld) -> None:
    app = app_with_certificate(embedded, RSA.certificate)
    for number in range(20):
        made = NOON.timestamp() + number / 7
        said = statement(embedded, app, jti=f"fraction {number}", iat=made, exp=made + 600, nbf=None)
        assert embedded.client().post(TOKEN, data=asked_with(RSA.sign({"alg": "PS256"}, said))).status_code == 200


def test_a_chain_of_certificates_in_the_header_is_passed_over(embedded: AdminWorld) -> None:
    app = app_with_certificate(embedded, RSA.certificate)
    chain = [base64.encodebytes(each.certificate).decode() for each in (certified("RSA", 2), RSA)]
    header = {"alg": "PS256", "typ": "JWT", "x5c": chain, "x5t#S256": RSA.thumbprints["x5t#S256"] + "="}
    client = embedded.client()

    said = statement(embedded, app, jti="chain")
    assert client.post(TOKEN, data=asked_with(RSA.sign(header, said))).status_code == 200
    theirs = certified("RSA", 2).sign(header, statement(embedded, app, jti="chain 2"))
    assert client.post(TOKEN, data=asked_with(theirs)).status_code == 401


def _joined(header: Any, claims: Any, signature: bytes = b"x") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def _hs256(claims: Any, encoding: Encoding) -> str:
    public = RSA.key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    signed = _joined({"alg": "HS256"}, claims, b"").rstrip(".")
    mac = hmac.HMAC(public, hashes.SHA256())
    mac.update(signed.encode())
    return f"{signed}.{base64.urlsafe_b64encode(mac.finalize()).decode().rstrip('=')}"


Forge = Callable[[dict[str, Any]], str]
FORGERIES: dict[str, Forge] = {
    "no algorithm": lambda claims: _joined({"alg": "none"}, claims, b""),
    "no algorithm, in capitals": lambda claims: _joined({"alg": "NONE"}, claims, b""),
    "HS256 with the public key": lambda claims: _hs256(claims, Encoding.PEM),
    "HS256 with the public key in DER": lambda claims: _hs256(claims, Encoding.DER),
    "another key": lambda claims: certified("RSA", 2).sign({"alg": "RS256"}, claims),
    "another key under the name of ours": lambda claims: certified("RSA", 2).sign(
        {"alg": "RS256", "x5t": RSA.thumbprints["x5t"]}, claims
    ),
    "a thumbprint of nobody": lambda claims: RSA.sign({"alg": "RS256", "x5t": "A" * 27}, claims),
    "two thumbprints that differ": lambda claims: RSA.sign(
        {"alg": "RS256", "x5t": RSA.thumbprints["x5t"], "x5t#S256": EC.thumbprints["x5t#S256"]}, claims
    ),
    "a kid that is a path": lambda claims: RSA.sign({"alg": "RS256", "kid": "../../../etc/passwd"}, claims),
    "a kid that is an address": lambda claims: RSA.sign({"alg": "RS256", "kid": "https://evil.example/k"}, claims),
    "a kid that is SQL": lambda claims: RSA.sign({"alg": "RS256", "kid": "' OR 1=1 --"}, claims),
    "a jku": lambda claims: RSA.sign({"alg": "RS256", "jku": "https://evil.example/keys"}, claims),
    "an x5u": lambda claims: RSA.sign({"alg": "RS256", "x5u": "https://evil.example/cert"}, claims),
    "a key of its own": lambda claims: RSA.sign({"alg": "RS256", "jwk": {"kty": "oct", "k": "AA"}}, claims),
    "RS512": lambda claims: RSA.sign({"alg": "RS512"}, claims),
    "ES256 with an RSA key": lambda claims: _joined({"alg": "ES256"}, claims, b"x" * 64),
    "an algorithm that is a list": lambda claims: _joined({"alg": ["RS256"]}, claims),
    "a member twice": lambda claims: RSA.sign({"alg": "RS256"}, claims) + ".x",
    "two parts": lambda claims: _joined({"alg": "RS256"}, claims).rpartition(".")[0],
    "a header that is no object": lambda claims: _joined([], claims),
    "too large": lambda claims: RSA.sign({"alg": "RS256"}, claims | {"x": "y" * 20_000}),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_statement_is_refused(embedded: AdminWorld, forge: Forge) -> None:
    app = app_with_certificate(embedded, RSA.certificate)

    answer = embedded.client().post(TOKEN, data=asked_with(forge(statement(embedded, app, jti=str(id(forge))))))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_statement_is_good_once(world: AdminWorld) -> None:
    app = app_with_certificate(world, RSA.certificate)
    said = asked_with(RSA.sign({"alg": "RS256"}, statement(world, app, jti="once")))
    client = world.client()
    assert client.post(TOKEN, data=said).status_code == 200
    again = client.post(TOKEN, data=said)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    signed_anew = asked_with(
        RSA.sign({"alg": "RS256"}, statement(world, app, jti="once", exp=int(NOON.timestamp()) + 599))
    )
    assert client.post(TOKEN, data=signed_anew).status_code == 401
    other = app_with_certificate(world, EC.certificate)
    theirs = asked_with(EC.sign({"alg": "ES256"}, statement(world, other, jti="once")))
    assert client.post(TOKEN, data=theirs).status_code == 200  # each application counts its own


def test_a_statement_for_one_application_does_not_speak_for_another(world: AdminWorld) -> None:
    app, other = app_with_certificate(world, RSA.certificate), app_with_certificate(world, EC.certificate)
    client = world.client()
    by_other_key = EC.sign({"alg": "ES256"}, statement(world, app))
    assert client.post(TOKEN, data=asked_with(by_other_key)).status_code == 401
    named = asked_with(RSA.sign({"alg": "RS256"}, statement(world, app)), client_id=other.client_id)
    assert client.post(TOKEN, data=named).status_code == 400
    mixed = asked_with(RSA.sign({"alg": "RS256"}, statement(world, app)), client_secret="x")
    assert client.post(TOKEN, data=mixed).status_code == 400
    untyped = asked_with(RSA.sign({"alg": "RS256"}, statement(world, app)), client_assertion_type="saml")
    assert client.post(TOKEN, data=untyped).status_code == 400


def test_a_certificate_that_was_taken_away_or_has_ended_is_worth_nothing(world: AdminWorld) -> None:
    short = certified("EC", 3, ends=NOON + timedelta(minutes=30))
    app = app_with_certificate(world, short.certificate)
    client = world.client()
    header = {"alg": "ES256"}
    token = client.post(TOKEN, data=asked_with(short.sign(header, statement(world, app)))).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    world.clock.advance(minutes=31)
    assert client.post(TOKEN, data=asked_with(short.sign(header, statement(world, app, jti="2")))).status_code == 401
    assert client.get(GROUPS, headers=bearer).status_code == 200

    with world.writing() as connection:
        (credential,) = app_credentials.credentials_of(connection, app)
        app_credentials.remove_credential(connection, world.services.acting("console"), app, credential.id)

    assert client.get(GROUPS, headers=bearer).status_code == 401


@pytest.mark.parametrize(
    "certificate",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"x" * 20_000,
        certified("RSA", 4, bits=1024).certificate,
        certified("EC", 5, ends=NOON - timedelta(days=1)).certificate,
    ],
    ids=["empty", "broken", "huge", "RSA of 1024 bits", "ended"],
)
def test_a_certificate_that_cannot_be_used_is_not_taken(embedded: AdminWorld, certificate: bytes) -> None:
    with pytest.raises(InvalidAppError):
        app_with_certificate(embedded, certificate)
