"""A caller that proves with every request that it holds a key, as its libraries do (RFC 9449)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

_NUMBERS: Final = count(1)


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass(frozen=True)
class Holder:
    """Whoever holds a key, for one algorithm."""

    algorithm: str
    key: Any

    @property
    def jwk(self) -> dict[str, str]:
        """The public key, of the members that it needs."""
        public = self.key.public_key()
        if self.algorithm == "EdDSA":
            return {"kty": "OKP", "crv": "Ed25519", "x": encoded(public.public_bytes_raw())}
        numbers = public.public_numbers()
        if self.algorithm == "ES256":
            return {"kty": "EC", "crv": "P-256", "x": _of_number(numbers.x, 32), "y": _of_number(numbers.y, 32)}
        return {"kty": "RSA", "n": _of_number(numbers.n), "e": _of_number(numbers.e)}

    @property
    def thumbprint(self) -> str:
        """What tokens are bound to (RFC 7638)."""
        text = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return encoded(hashlib.sha256(text.encode()).digest())

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """Sign anything at all."""
        data = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
        return f"{data}.{encoded(self._signature(data.encode()))}"

    def prove(
        self, method: str, address: str, now: float, *, token: str | None = None, header: Any = None, **claims: Any
    ) -> str:
        """Make a proof; a change to ``None`` leaves a member out."""
        said: dict[str, Any] = {"jti": f"proof {next(_NUMBERS)}", "htm": method, "htu": address, "iat": int(now)}
        if token is not None:
            said["ath"] = encoded(hashlib.sha256(token.encode()).digest())
        headers = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk} | (header or {})
        return self.sign(
            {name: value for name, value in headers.items() if value is not None},
            {name: value for name, value in (said | claims).items() if value is not None},
        )

    def _signature(self, data: bytes) -> bytes:
        match self.algorithm:
            case "ES256":
                r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
                return r.to_bytes(32) + s.to_bytes(32)
            case "EdDSA":
                return bytes(self.key.sign(data))
            case "RS256":
                return bytes(self.key.sign(data, padding.PKCS1v15(), hashes.SHA256()))
            case _:
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
                return bytes(self.key.sign(data, pss, hashes.SHA256()))


@cache
def holder(algorithm: str = "ES256", number: int = 1, *, bits: int = 2048) -> Holder:
    """Make somebody with a key; the same one for the same number."""
    assert number
    match algorithm:
        case "ES256":
            return Holder(algorithm, ec.generate_private_key(ec.SECP256R1()))
        case "EdDSA":
            return Holder(algorithm, ed25519.Ed25519PrivateKey.generate())
        case _:
            return Holder(algorithm, rsa.generate_private_key(65_537, bits))


def _of_number(number: int, size: int | None = None) -> str:
    return encoded(number.to_bytes(size or (number.bit_length() + 7) // 8))
