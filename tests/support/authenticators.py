"""An authenticator in software: makes passkeys and answers with them, honestly or with any lie that a test wants.

``Authenticator`` speaks WebAuthn as a browser hands it on (``PublicKeyCredential.toJSON``), with keys of its own.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, encode_cbor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ORIGIN = "https://localhost:8443"


@dataclass(frozen=True)
class Lie:
    """What an answer says that is not so; as it stands, nothing."""

    origin: str = ORIGIN
    party: str = "localhost"
    challenge: str | None = None
    kind: str | None = None
    flags: int = PRESENT | VERIFIED
    cross_origin: bool = False
    user_handle: bytes | None = None
    counter: int | None = None
    spoiled: bool = False
    """Whether a bit of the signature is another one."""


HONEST = Lie()


@dataclass
class Authenticator:
    """Holds one passkey once it has made one."""

    counts: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes = b""
    counter: int = 0

    def copied(self) -> Authenticator:
        """Another one with the same key, that counts on its own."""
        return replace(self)

    def make(self, options: dict[str, Any], lie: Lie = HONEST) -> str:
        """Make a passkey, as the options ask for it."""
        self.user_handle = base64url_to_bytes(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + encode_cbor(cose)
        data = self._data(replace(lie, flags=lie.flags | ATTESTED)) + attested
        response = {
            "clientDataJSON": bytes_to_base64url(_client_data("webauthn.create", options["challenge"], lie)),
            "attestationObject": bytes_to_base64url(encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal", "hybrid", "made-up"],
        }
        return self._written(response)

    def answer(self, options: dict[str, Any], lie: Lie = HONEST) -> str:
        """Sign a challenge."""
        if self.counts and lie.counter is None:
            self.counter += 1
        data = self._data(lie)
        client_data = _client_data("webauthn.get", options["challenge"], lie)
        signature = bytearray(self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256())))
        if lie.spoiled:
            signature[-1] ^= 1
        handle = self.user_handle if lie.user_handle is None else lie.user_handle
        response = {
            "clientDataJSON": bytes_to_base64url(client_data),
            "authenticatorData": bytes_to_base64url(data),
            "signature": bytes_to_base64url(bytes(signature)),
            "userHandle": bytes_to_base64url(handle),
        }
        return self._written(response)

    def _data(self, lie: Lie) -> bytes:
        counter = self.counter if lie.counter is None else lie.counter
        return hashlib.sha256(lie.party.encode()).digest() + bytes([lie.flags]) + counter.to_bytes(4, "big")

    def _written(self, response: dict[str, Any]) -> str:
        name = bytes_to_base64url(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def _client_data(kind: str, challenge: str, lie: Lie) -> bytes:
    told = {
        "type": lie.kind or kind,
        "challenge": lie.challenge or challenge,
        "origin": lie.origin,
        "crossOrigin": lie.cross_origin,
    }
    return json.dumps(told).encode()
