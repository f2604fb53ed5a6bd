"""Public keys as they stand in a proof of possession (RFC 7517), each written in the one way that has one thumbprint.

Pure. Everything that is wrong is a ValueError here; the caller says no more of it than that the proof is not good.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

ALGORITHMS: Final = ("ES256", "PS256", "RS256", "EdDSA")
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_RSA_BITS: Final = range(2048, 4097)
_LARGEST_EXPONENT: Final = 2**32
"""Larger ones are drawn by nobody, and cost us time."""
_BYTES: Final = 32
"""Of a coordinate, and of each half of a signature, on both curves."""
_Verifying: TypeAlias = Callable[[bytes, bytes], None]


@dataclass(frozen=True, slots=True)
class PossessionKey:
    """A public key for one algorithm. ``thumbprint`` is that of RFC 7638, what ``cnf.jkt`` of a token says."""

    thumbprint: str
    _verifying: _Verifying = field(repr=False)

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Tell whether a signature is of this key, over ``data``."""
        try:
            self._verifying(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_key(algorithm: Any, jwk: Mapping[str, Any]) -> PossessionKey:
    """Read the key of a header for the algorithm that stands beside it.

    Raises:
        ValueError: It is private, weak, of another kind, or written in another way than RFC 7518 does.
    """
    if not _PRIVATE.isdisjoint(jwk):
        raise ValueError("A private key is shown to nobody.")
    match algorithm, jwk.get("kty"), jwk.get("crv"):
        case "ES256", "EC", "P-256":
            return PossessionKey(_thumbprint(jwk, "crv", "kty", "x", "y"), _of_p256(jwk))
        case "EdDSA", "OKP", "Ed25519":
            key = Ed25519PublicKey.from_public_bytes(_coordinate(jwk, "x"))
            return PossessionKey(_thumbprint(jwk, "crv", "kty", "x"), key.verify)
        case "RS256", "RSA", None:
            return PossessionKey(_thumbprint(jwk, "e", "kty", "n"), _of_rsa(jwk, PKCS1v15()))
        case "PS256", "RSA", None:
            return PossessionKey(_thumbprint(jwk, "e", "kty", "n"), _of_rsa(jwk, PSS(MGF1(SHA256()), _BYTES)))
        case _:
            raise ValueError("The algorithm is not offered, or the key is of another kind.")


def octets(text: str) -> bytes:
    """Read base64url without padding (RFC 7515 section 2) in its one way of writing. Raises: ValueError."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    if encoded(found) != text:
        raise ValueError("There is another way to write the same.")
    return found


def encoded(data: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _of_p256(jwk: Mapping[str, Any]) -> _Verifying:
    x, y = (int.from_bytes(_coordinate(jwk, name)) for name in ("x", "y"))
    key = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()

    def verify(signature: bytes, data: bytes) -> None:
        if len(signature) != 2 * _BYTES:
            raise ValueError("A signature of ES256 has 64 bytes.")
        r, s = int.from_bytes(signature[:_BYTES]), int.from_bytes(signature[_BYTES:])
        key.verify(encode_dss_signature(r, s), data, ECDSA(SHA256()))

    return verify


def _of_rsa(jwk: Mapping[str, Any], padding: AsymmetricPadding) -> _Verifying:
    n, e = _number(jwk, "n"), _number(jwk, "e")
    if n.bit_length() not in _RSA_BITS or e > _LARGEST_EXPONENT:
        raise ValueError("The key is too small, or too large.")
    key = RSAPublicNumbers(e, n).public_key()
    return lambda signature, data: key.verify(signature, data, padding, SHA256())


def _thumbprint(jwk: Mapping[str, Any], *members: str) -> str:
    text = json.dumps({name: _text(jwk, name) for name in sorted(members)}, separators=(",", ":"))
    return encoded(hashlib.sha256(text.encode()).digest())


def _coordinate(jwk: Mapping[str, Any], name: str) -> bytes:
    found = octets(_text(jwk, name))
    if len(found) != _BYTES:
        raise ValueError(f"The member {name} has 32 bytes.")
    return found


def _number(jwk: Mapping[str, Any], name: str) -> int:
    found = octets(_text(jwk, name))
    if not found or found[0] == 0:
        raise ValueError(f"The member {name} has no zeros before it.")
    return int.from_bytes(found)


def _text(jwk: Mapping[str, Any], name: str) -> str:
    if not isinstance(value := jwk.get(name), str):
        raise ValueError(f"The member {name} is missing.")  # noqa: TRY004 - one error for all that is wrong
    return value
