"""A person signs in with their browser; a loopback address waits for the answer (RFC 8252, bound by PKCE, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from shieldwall.contract.errors import ShieldwallError

SCOPES: Final = ("openid", "profile", "offline_access")
_RANDOM_BYTES: Final = 32
_DONE: Final = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Shieldwall</title>"
    b"<p>You are signed in. Close this window and go back to the command line."
)
_REFUSED: Final = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>Shieldwall</title>"
    b"<p>Signing in did not work. The command line says why."
)


class SignInFailedError(ShieldwallError):
    """The browser came back without leave to go on, or not at all."""

    code = "signInFailed"
    remedy = "Try again, and finish signing in within the browser window that opens."


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What is exchanged for tokens: the code, and what proves that it was us who asked for it."""

    code: str
    verifier: str
    redirect_uri: str


def sign_in(
    *,
    authorization_endpoint: str,
    issuer: str,
    client_id: str,
    resource: str,
    show: Callable[[str], None],
    randomness: Callable[[int], bytes],
    patience_seconds: float = 300.0,
    login_hint: str = "",
) -> Granted:
    """Let a person sign in. ``show`` gets the address to open.

    Raises:
        SignInFailedError: They did not come back in time, or were refused.
    """
    state, verifier = (_text(randomness(_RANDOM_BYTES)) for _ in range(2))
    answers: list[Mapping[str, str]] = []
    with HTTPServer(("127.0.0.1", 0), _handler(answers)) as server:
        redirect_uri = f"http://localhost:{server.server_port}"
        asked = {
            "client_id": client_id,
            "response_type": "code",
            "response_mode": "query",
            "redirect_uri": redirect_uri,
            "scope": " ".join((f"{resource}/.default", *SCOPES)),
            "state": state,
            "code_challenge": _text(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        if login_hint:
            asked["login_hint"] = login_hint
        show(f"{authorization_endpoint}?{urlencode(asked)}")
        _wait(server, answers, patience_seconds)
    if not answers:
        raise SignInFailedError(f"Nobody came back within {patience_seconds:.0f} seconds.")
    return Granted(code=_code(answers[0], state, issuer), verifier=verifier, redirect_uri=redirect_uri)


def _code(answer: Mapping[str, str], state: str, issuer: str) -> str:
    """Take the code out of an answer that is for us (state) and of whom we asked (RFC 9207)."""
    if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
        raise SignInFailedError("The answer belongs to another attempt to sign in.")
    if "error" in answer:
        raise SignInFailedError(answer.get("error_description") or answer["error"])
    if answer.get("iss", issuer) != issuer:
        raise SignInFailedError("The answer is of another server.")
    if not answer.get("code"):
        raise SignInFailedError("The answer holds no code.")
    return answer["code"]


def _wait(server: HTTPServer, answers: list[Mapping[str, str]], patience_seconds: float) -> None:
    """Serve until an answer is there; a browser asks for icons and the like beside."""
    server.timeout = 0.5
    rounds = int(patience_seconds / server.timeout)
    for _ in range(rounds):
        if answers:
            return
        server.handle_request()


def _handler(answers: list[Mapping[str, str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Takes the one answer that is waited for."""

        timeout = 5.0

        def do_GET(self) -> None:
            """Take an answer, and tell the person that they may close the window."""
            given = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            if not {"code", "error"} & given.keys():
                self.send_error(404)
                return
            answers.append(given)
            page = _REFUSED if "error" in given else _DONE
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", "default-src 'none'")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing: the address holds the code."""

    return Handler


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
