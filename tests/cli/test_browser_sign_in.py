"""Signing in with a browser, without one: the answer comes to the loopback address as a browser would bring it."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shieldwall.cli.browser_sign_in import Granted, SignInFailedError, sign_in

ISSUER = "https://shieldwall.example/tenant/v2.0"


def signing_in(answer: Callable[[dict[str, str]], list[dict[str, str]]], patience: float = 10.0) -> Granted:
    """Sign in; ``answer`` says with what parameters the browser comes back, after looking at what was asked."""
    visitors: list[threading.Thread] = []

    def show(address: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        visitor = threading.Thread(target=visit, args=(asked, answer(asked)))
        visitors.append(visitor)
        visitor.start()

    try:
        return sign_in(
            authorization_endpoint="https://shieldwall.example/tenant/oauth2/v2.0/authorize",
            issuer=ISSUER,
            client_id="client",
            resource="https://shieldwall.example",
            show=show,
            randomness=counted(),
            patience_seconds=patience,
        )
    finally:
        for visitor in visitors:
            visitor.join(10)


def counted() -> Callable[[int], bytes]:
    given = iter(range(1, 10))
    return lambda size: bytes([next(given)]) * size


def visit(asked: dict[str, str], answers: list[dict[str, str]]) -> None:
    for each in answers:
        page = httpx.get(f"{asked['redirect_uri']}/", params=each, timeout=10)
        if not each.get("code") and "error" not in each:
            assert page.status_code == 404
        else:
            assert page.headers["Content-Security-Policy"] == "default-src 'none'"


def good(asked: dict[str, str], **changes: str) -> dict[str, str]:
    return {"code": "the code", "state": asked["state"], "iss": ISSUER} | changes


def test_the_code_comes_back_with_what_proves_who_asked() -> None:
    seen: dict[str, Any] = {}

    def answer(asked: dict[str, str]) -> list[dict[str, str]]:
        seen.update(asked)
        return [{"favicon": "1"}, good(asked)]

    granted = signing_in(answer)

    assert granted.code == "the code"
    assert granted.redirect_uri == seen["redirect_uri"]
    assert urlsplit(granted.redirect_uri).hostname == "localhost"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(granted.verifier.encode()).digest()).decode().rstrip("=")
    assert (seen["code_challenge"], seen["code_challenge_method"]) == (challenge, "S256")
    assert seen["scope"].split() == ["https://shieldwall.example/.default", "openid", "profile", "offline_access"]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"state": "another"}, "another attempt"),
        ({"iss": "https://evil.example"}, "another server"),
        ({"code": ""}, "Nobody"),
        ({"error": "access_denied", "error_description": "Refused by the person."}, "Refused by the person"),
    ],
)
def test_an_answer_that_is_not_meant_for_us_is_refused(changes: dict[str, str], cause: str) -> None:
    with pytest.raises(SignInFailedError, match=cause):
        signing_in(lambda asked: [good(asked, **changes)], patience=2.0)


def test_nobody_is_waited_for_for_ever() -> None:
    with pytest.raises(SignInFailedError, match="Nobody came back"):
        signing_in(lambda _asked: [], patience=1.0)
