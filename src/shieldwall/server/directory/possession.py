"""Proof of possession: a caller signs each request with a key of its own, to which its tokens are bound (RFC 9449).

Pure. Whoever calls keeps in mind which proofs were used, and hands out nonces where they are wanted. The checks, in
the order of section 4.3:

1. three parts of bounded size; the header is strict JSON of exactly ``typ``, ``alg`` and ``jwk``
2. the key stands in the header, is public, and of the kind of the algorithm; nothing is looked up anywhere
3. the signature
4. ``htm`` and ``htu`` are the method and address of the request, ``iat`` is now, there is a ``jti``
5. beside a token: ``ath`` is its hash
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import Digest
from shieldwall.contract.strict_json import decode_any, digest_of_bytes
from shieldwall.server.access.authorization import UnauthenticatedError
from shieldwall.server.directory.possession_keys import PossessionKey, encoded, octets, read_key

TYPE: Final = "dpop+jwt"
WINDOW: Final = timedelta(seconds=60)
"""How far the clock of a caller may be from ours, and how long a proof is good."""
KEPT: Final = WINDOW + timedelta(seconds=1)
"""A proof is kept in mind longer than it is good, never just as long."""
MAX_BYTES: Final = 8 * 1024
MAX_JTI: Final = 256
MAX_NONCE: Final = 256
MAX_ADDRESS: Final = 4096
_HEADER: Final = frozenset({"typ", "alg", "jwk"})
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class InvalidProofError(UnauthenticatedError):
    """The proof of possession is not good for this request, or was used before; the answer never says why."""

    code = "invalidProof"
    remedy = (
        "Make a new proof for each request, with its method and address, the token's key, and a clock that is right."
    )


class UnboundTokenError(UnauthenticatedError):
    """The token is bound to a key and was sent as if it were not, or the other way round."""

    code = "wrongTokenScheme"
    remedy = "Send a token that is bound to a key as 'Authorization: DPoP …' with a proof, all others as 'Bearer'."


class NonceWantedError(UnauthenticatedError):
    """The proof has to hold a nonce of this server, and holds none that is still good."""

    code = "proofNonceWanted"
    remedy = "Repeat the request with a proof that holds the nonce of the header DPoP-Nonce."

    def __init__(self, nonce: str) -> None:
        super().__init__("The proof needs a nonce of this server.")
        self.nonce = nonce


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof that was verified. ``key`` is the thumbprint of its key (RFC 7638, what ``cnf.jkt`` says).

    Its ``jti`` is good once, and has to be kept in mind until ``keep_until``.
    """

    key: str
    jti: str
    nonce: str
    keep_until: datetime

    @property
    def digest(self) -> Digest:
        """What names this proof among all."""
        return digest_of_bytes(f"possession\x00{self.key}\x00{self.jti}".encode("utf-8", "replace"))


def verify(proof: str, *, method: str, address: str, now: datetime, token: str | None = None) -> Proof:
    """Verify a proof for a request; ``token`` is what it comes with, where it comes with one.

    ``address`` is where the request went, without query, its path decoded.

    Raises:
        InvalidProofError: It does not hold.
    """
    head, body, signature = _parts(proof)
    key = _key_of(_object(head))
    if not key.signed(proof.rpartition(".")[0].encode(), signature):
        raise _refused()
    claims = _object(body)
    if claims.get("htm") != method or normal_address(_text(claims, "htu", MAX_ADDRESS)) != address:
        raise _refused()
    if token is not None and claims.get("ath") != hash_of(token):
        raise _refused()
    nonce = _text(claims, "nonce", MAX_NONCE) if "nonce" in claims else ""
    return Proof(
        key=key.thumbprint,
        jti=_text(claims, "jti", MAX_JTI),
        nonce=nonce,
        keep_until=_made_at(claims, now) + KEPT,
    )


def hash_of(token: str) -> str:
    """Return what ``ath`` says of a token."""
    return encoded(hashlib.sha256(token.encode("utf-8", "replace")).digest())


def normal_address(address: str) -> str:
    """Write an address as ``verify`` compares it: scheme and host in small letters, no port that is the usual one.

    The path is decoded as the server reads it (RFC 3986 section 6.2). An address with a query, a fragment or a user in
    it is none that ``htu`` may hold (RFC 9449 section 4.2).

    Raises:
        InvalidProofError: It is no such address.
    """
    if not address.isascii() or not address.isprintable() or any(each in address for each in " ?#\\"):
        raise _refused()
    try:
        parts = urlsplit(address)
        port, path = parts.port, unquote_to_bytes(parts.path).decode()
    except ValueError:
        raise _refused() from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise _refused()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}"
    return f"{parts.scheme}://{host}{shown}{path or '/'}"


def _made_at(claims: Mapping[str, Any], now: datetime) -> datetime:
    made = claims.get("iat")
    if isinstance(made, bool) or not isinstance(made, int | float):
        raise _refused()
    age = now.timestamp() - made
    if not abs(age) <= WINDOW.total_seconds():
        raise _refused()
    return now - timedelta(seconds=age)


def _key_of(header: Mapping[str, Any]) -> PossessionKey:
    if set(header) != _HEADER or header["typ"] != TYPE or not isinstance(header["jwk"], dict):
        raise _refused()
    try:
        return read_key(header["alg"], header["jwk"])
    except ValueError:
        raise _refused() from None


def _parts(proof: str) -> tuple[bytes, bytes, bytes]:
    pieces = proof.split(".")
    if len(proof) > MAX_BYTES or len(pieces) != 3 or not proof.isascii():
        raise _refused()
    try:
        head, body, signature = map(octets, pieces)
    except ValueError:
        raise _refused() from None
    return head, body, signature


def _text(claims: Mapping[str, Any], name: str, longest: int) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise _refused()
    return value


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = decode_any(data)
    except InvalidJsonError:
        raise _refused() from None
    if not isinstance(value, dict):
        raise _refused()
    return value


def _refused() -> InvalidProofError:
    return InvalidProofError("The proof of possession is not good.")
