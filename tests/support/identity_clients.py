"""Clients of the identity platform, as its libraries behave: certificates, signed statements, the flow with a code."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from joserfc.jws import JWSRegistry
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.samples import NOON, TENANT_ID

from shieldwall.server.directory import app_credentials, apps
from shieldwall.server.directory.authorization_codes import challenge_of
from shieldwall.server.storage.identity_records import App

TOKEN: Final = f"/{TENANT_ID}/oauth2/v2.0/token"
AUTHORIZE: Final = f"/{TENANT_ID}/oauth2/v2.0/authorize"
GROUPS_READ: Final = "https://graph.microsoft.com/Group.Read.All"
VERIFIER: Final = "v" * 43
LOOPBACK: Final = "http://localhost:49152"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class _AnyHeader(JWSRegistry):
    """Writes headers as long as others do."""

    max_header_length = 64 * 1024
    max_payload_length = 64 * 1024


@dataclass(frozen=True)
class Certified:
    """A key and its certificate, as an application keeps them."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: bytes
    """DER."""

    @property
    def thumbprints(self) -> dict[str, str]:
        """The names that headers give a certificate."""
        found = x509.load_der_x509_certificate(self.certificate)
        return {
            "x5t": _encoded(found.fingerprint(hashes.SHA1())),  # noqa: S303 - as the header wants it
            "x5t#S256": _encoded(found.fingerprint(hashes.SHA256())),
        }

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """Sign a statement."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key = (RSAKey if isinstance(self.key, rsa.RSAPrivateKey) else ECKey).import_key(pem)
        registry = _AnyHeader(algorithms=["RS256", "PS256", "ES256", "RS512"])
        return jwt.encode(dict(header), dict(claims), key, registry=registry)


@cache
def certified(
    kind: str, number: int = 1, *, bits: int = 2048, ends: datetime = NOON + timedelta(days=365)
) -> Certified:
    """Make a key of a kind (``RSA`` or ``EC``) with a certificate; the same one for the same number."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    key = rsa.generate_private_key(65_537, bits) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"app-{number}")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(min(NOON, ends) - timedelta(days=1))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return Certified(key, made.public_bytes(Encoding.DER))


def app_with_certificate(world: AdminWorld, certificate: bytes, *permissions: str) -> App:
    """Make an application that has a certificate and no secret."""
    with world.writing() as connection:
        acting = world.services.acting("console")
        app = apps.register_app(
            connection, acting, display_name="Certified", permissions=permissions or ("Group.Read.All",)
        )
        app_credentials.add_certificate(connection, acting, app, certificate)
    return app


def statement(world: AdminWorld, app: App, jti: str = "1", **changes: Any) -> dict[str, Any]:
    """The claims that Microsoft's libraries make; a change to ``None`` leaves one out."""
    now = int(world.clock.now().timestamp())
    claims = {
        "aud": f"{PUBLIC_URL}{TOKEN}",
        "iss": app.client_id,
        "sub": app.client_id,
        "nbf": now,
        "exp": now + 600,
        "jti": jti,
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def asked_with(assertion: str, **fields: str) -> dict[str, str]:
    """The form of a client that shows a statement."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": "https://graph.microsoft.com/.default",
    } | fields


def public_app(world: AdminWorld, *delegated: str, redirect_uri: str = "http://localhost") -> App:
    """Make an application that runs on people's machines."""
    with world.writing() as connection:
        return apps.register_app(
            connection,
            world.services.acting("console"),
            display_name="Desk tool",
            delegated=delegated or ("Group.Read.All",),
            redirect_uris=(redirect_uri,),
            is_public=True,
        )


def asking(app: App, **changes: str | None) -> dict[str, str]:
    """The parameters with which an application sends a person to sign in."""
    parameters: dict[str, str | None] = {
        "client_id": app.client_id,
        "response_type": "code",
        "redirect_uri": LOOPBACK,
        "scope": f"{GROUPS_READ} openid profile offline_access",
        "state": "some state",
        "nonce": "some nonce",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (parameters | changes).items() if value is not None}


def address(app: App, **changes: str | None) -> str:
    """The address that a person is sent to."""
    return f"{AUTHORIZE}?{urlencode(asking(app, **changes))}"


def agree(browser: Client, where: str, *, decision: str = "yes") -> httpx.Response:
    """Look at the page and decide."""
    page = browser.get(where)
    assert page.status_code == 200, page.text
    found = re.search(r'name="csrf" value="([0-9a-f]+)"[^<]*<button name="decision"', page.text.replace("\n", ""))
    assert found, page.text
    return browser.post(where, data={"csrf": found[1], "decision": decision}, headers={"Origin": PUBLIC_URL})


def told(answer: httpx.Response) -> dict[str, str]:
    """What an application is told in the address of a redirect."""
    assert answer.status_code == 303, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def code_for(world: AdminWorld, app: App, name: str = "Ada", /, **changes: str | None) -> str:
    """Sign a person in and let them agree; return the code."""
    browser = world.client()
    world.sign_in(browser, name)
    return told(agree(browser, address(app, **changes)))["code"]


def exchange(app: App, code: str, /, **changes: str | None) -> dict[str, str]:
    """The form that exchanges a code."""
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "client_id": app.client_id,
        "code": code,
        "redirect_uri": LOOPBACK,
        "code_verifier": VERIFIER,
        "client_info": "1",
    }
    return {name: value for name, value in (form | changes).items() if value is not None}


def query_of(address: str) -> dict[str, list[str]]:
    """The parameters in an address."""
    return parse_qs(urlsplit(address).query)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


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
