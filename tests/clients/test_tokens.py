"""Clients of the identity platform that nobody here wrote: msal and azure-identity, unmodified."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.clients.conftest import DOMAIN, Service
from tests.support.person_at_browser import browser_for


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def test_msal_signs_an_application_in_by_its_secret(service: Service) -> None:
    said = service.run("msal_tokens")

    for name in ("tenant", "domain"):
        assert said[name]["error"] is None
        assert said[name]["cached"]
        claims = claims_of(said[name]["token"])
        assert (claims["tid"], claims["appid"]) == (service.tenant_id, service.client_id)
        assert "Device.Read.All" in claims["roles"]


def test_msal_is_told_why_it_gets_no_token(service: Service) -> None:
    assert service.run("msal_tokens", clientSecret="wrong")["tenant"]["error"] == "invalid_client"
    unknown = service.run("msal_tokens", scope="https://vault.example/.default")["tenant"]
    assert (unknown["error"], unknown["codes"]) == ("invalid_scope", [70011])


def test_msal_takes_us_for_any_openid_provider(service: Service) -> None:
    said = service.run("msal_oidc")

    assert claims_of(said["token"])["aud"] == "https://graph.microsoft.com"


def test_azure_identity_signs_an_application_in_by_its_secret(service: Service) -> None:
    said = service.run("azure_identity_tokens")

    assert claims_of(said["secret"])["appid"] == service.client_id


@pytest.fixture(scope="module")
def certificate(service: Service, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A certificate that the application may sign in by: key and certificate in one PEM file, and its thumbprint."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Automation")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    public, both = folder / "public.pem", folder / "both.pem"
    public.write_bytes(made.public_bytes(Encoding.PEM))
    both.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    service.console("app", "add-certificate", service.client_id, str(public))
    return both, made.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - the name that older clients give a certificate


def test_msal_signs_an_application_in_by_a_certificate(service: Service, certificate: tuple[Path, str]) -> None:
    pem, thumbprint = certificate
    key = pem.read_text().partition("-----BEGIN CERTIFICATE")[0]
    older = {"private_key": key, "thumbprint": thumbprint}  # RS256 and x5t
    newer = {"private_key": key, "public_certificate": pem.read_text().partition(key)[2]}  # PS256, x5t#S256 and x5c

    for credential in (older, newer):
        said = service.run("msal_tokens", certificate=credential)["tenant"]
        assert said["error"] is None, said
        assert claims_of(said["token"])["appid"] == service.client_id


def test_azure_identity_signs_an_application_in_by_a_certificate(
    service: Service, certificate: tuple[Path, str]
) -> None:
    said = service.run("azure_identity_tokens", certificateFile=str(certificate[0]))

    assert claims_of(said["certificate"])["appid"] == service.client_id


def test_msal_signs_a_person_in_and_goes_on_after_a_challenge(service: Service) -> None:
    words = (
        "--public",
        "--redirect-uri",
        "http://localhost",
        "--delegated",
        "Group.Read.All",
        "--delegated",
        "User.Read",
    )
    made = service.console("app", "create", "--name", "Tool", *words)
    client_id = made.rstrip().rstrip(".").split()[-1]
    link = service.console("admin", "invite", "--name", "Grace").strip()

    said = service.run("msal_person", publicClientId=client_id, environment=browser_for(link, service.authority))

    assert said["name"] == said["account"] == said["me"] == f"grace@{DOMAIN}"
    assert said["cached"]
    assert said["refreshed"]
    assert (said["groups"], said["forbidden"], said["takenBack"]) == (200, 403, 200)
    assert (said["challenged"], said["claims"]) == (401, True)
    assert said["again"] == "invalid_grant"
