"""Clients of the identity platform that nobody here wrote: msal and azure-identity, unmodified."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.clients.conftest import Service


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
