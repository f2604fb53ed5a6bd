"""Somebody else's OpenID provider, over TLS and real HTTP: it signs people in honestly, or with any lie a test wants.

``OpenIdProvider`` answers discovery, keys, pushed requests and the token endpoint; ``authorize`` is what its pages
would do with a browser that comes: check the request and send it back with a code.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from tests.support.receivers import Asked, Receiver, answering, receiving
from tests.support.samples import HandClock

CLIENT_ID, CLIENT_SECRET = "shieldwall", "top:secret/+ é".encode("ascii", "ignore").decode()
_RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
_EC = ECKey.generate_key("P-256", parameters={"kid": "ec"})
_ED = OKPKey.generate_key("Ed25519", parameters={"kid": "ed"})
_OTHER = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
KEYS: dict[str, Any] = {"RS256": _RSA, "PS256": _RSA, "ES256": _EC, "EdDSA": _ED, "other": _OTHER}


@dataclass
class OpenIdProvider:
    """A provider; what it says of a person stands in ``person``, and what it lies about in ``lies``."""

    receiver: Receiver
    clock: HandClock
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "subject-1", "preferred_username": "grace"})
    lies: dict[str, Any] = field(default_factory=dict)
    metadata_lies: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    key: Any = None
    answers_with_issuer: bool = True
    pushes: bool = False
    published: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    requests: dict[str, dict[str, str]] = field(default_factory=dict)
    pushed: dict[str, dict[str, str]] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.receiver.port}"

    def authorize(self, where: str) -> str:
        """Do what a browser does that comes with a request and signs in; return the query it comes back with."""
        parts = urlsplit(where)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize"
        asked = dict(parse_qsl(parts.query, strict_parsing=True))
        if self.pushes:
            assert asked.keys() == {"client_id", "request_uri"}
            asked = self.pushed.pop(asked["request_uri"])
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["state"]) >= 43
        assert len(asked["nonce"]) >= 43
        code = secrets.token_urlsafe(16)
        self.requests[code] = asked
        back = {"code": code, "state": asked["state"]}
        if self.answers_with_issuer:
            back["iss"] = self.issuer
        return urlencode(back)

    async def serve(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        status, answer = self._answer(asked)
        body = json.dumps(answer).encode()
        await answering(status, body, Content_Type="application/json")(asked, writer)

    def _answer(self, asked: Asked) -> tuple[int, Any]:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        match urlsplit(asked.target).path:
            case "/.well-known/openid-configuration":
                return 200, self._metadata()
            case "/keys":
                return 200, KeySet([KEYS[each] for each in self.published]).as_dict(private=False)
            case "/par":
                assert self._knows(asked)
                name = f"urn:request:{secrets.token_urlsafe(8)}"
                self.pushed[name] = form
                return 201, {"request_uri": name, "expires_in": 60}
            case "/token":
                return self._token(asked, form)
            case _:
                return 404, {}

    def _metadata(self) -> dict[str, Any]:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "authorization_response_iss_parameter_supported": self.answers_with_issuer,
        }
        if self.pushes:
            found["pushed_authorization_request_endpoint"] = f"{self.issuer}/par"
        return found | self.metadata_lies

    def _knows(self, asked: Asked) -> bool:
        kind, _, pair = asked.headers.get("authorization", "").partition(" ")
        return kind == "Basic" and base64.b64decode(pair).decode().startswith(f"{CLIENT_ID}:")

    def _token(self, asked: Asked, form: dict[str, str]) -> tuple[int, Any]:
        request = self.requests.get(form.get("code", ""))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            not self._knows(asked)
            or request is None
            or form["code"] in self.spent
            or challenge.rstrip(b"=").decode() != request["code_challenge"]
            or form.get("redirect_uri") != request["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        self.spent.add(form["code"])
        moment = int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": moment,
            "exp": moment + 300,
            "nonce": request["nonce"],
            "auth_time": moment,
            **self.person,
            **self.lies,
        }
        claims = {name: value for name, value in claims.items() if value is not ...}
        return 200, {"id_token": self.signed(claims), "access_token": "x", "token_type": "Bearer"}

    def signed(self, claims: dict[str, Any]) -> str:
        if self.algorithm == "none":
            parts = [{"alg": "none"}, claims]
            texts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in parts]
            return ".".join([*texts, ""])
        if self.algorithm == "HS256":
            key = OctKey.import_key(_RSA.as_pem(private=False))
            return jwt.encode({"alg": "HS256", "kid": "rsa"}, claims, key, algorithms=["HS256"])
        key = self.key or KEYS[self.algorithm]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of the name EdDSA, which providers write all the same
            return jwt.encode({"alg": self.algorithm, "kid": key.kid}, claims, key, algorithms=[self.algorithm])


@contextmanager
def providing(directory: Path, clock: HandClock) -> Iterator[OpenIdProvider]:
    """Run a provider."""
    with receiving(directory) as receiver:
        provider = OpenIdProvider(receiver=receiver, clock=clock)
        receiver.behaviour = provider.serve
        yield provider
