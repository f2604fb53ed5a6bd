"""Applications that show a certificate: they sign a short statement with its key (RFC 7523, ``private_key_jwt``).

Pure. Whoever calls looks up the certificates, and uses up the statement's ``jti``. The checks, in order:

1. three parts of bounded size; the header is strict JSON, with no ``jku``, ``x5u``, ``jwk`` or ``crit``
2. the certificate is one of the application's, named by ``x5t#S256``, ``x5t`` or ``kid``; where nothing names it, any
3. the algorithm is one of the certificate's kind of key: RS256 and PS256 of RSA, ES256 of P-256
4. the signature
5. ``iss`` and ``sub`` are the client id, ``aud`` is one text that names us, the times are good, there is a ``jti``

A statement whose ``typ`` is ``client-authentication+jwt`` asks for the strict profile and is held to it: ES256, our
issuer as the audience, at most sixty seconds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode_any
from shieldwall.server.directory.app_credentials import InvalidClientError

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LEEWAY: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(minutes=10)
"""How long a statement may be good: what the libraries of Microsoft's identity platform ask for."""
STRICT_TYPE: Final = "client-authentication+jwt"
STRICT_LONGEST: Final = timedelta(seconds=60)
MAX_BYTES: Final = 16 * 1024
MAX_JTI: Final = 256
_RSA: Final = frozenset({"RS256", "PS256"})
_EC: Final = frozenset({"ES256"})
_NEVER: Final = frozenset({"jku", "x5u", "jwk", "crit"})


class _Roomy(jws.JWSRegistry):
    """Reads headers that hold a chain of certificates (``x5c``), which nobody looks at; we bound the whole before."""

    max_header_length = MAX_BYTES
    max_payload_length = MAX_BYTES


@dataclass(frozen=True, slots=True)
class Assertion:
    """A statement that was verified; its ``jti`` is good once, and has to be kept until ``keep_until``."""

    jti: str
    keep_until: datetime


def claimed_client(assertion: str) -> str:
    """Read whom a statement is about: that chooses the certificates to verify it with, and is not believed before.

    Raises:
        InvalidClientError: It is no statement.
    """
    subject = _object(_parts(assertion)[1]).get("sub")
    if not isinstance(subject, str):
        raise _refused()
    return subject


def verify(
    assertion: str,
    *,
    client_id: str,
    certificates: Sequence[bytes],
    issuers: Collection[str],
    endpoints: Collection[str],
    now: datetime,
) -> Assertion:
    """Verify a statement. ``issuers`` and ``endpoints`` are the audiences that mean us.

    Raises:
        InvalidClientError: It does not hold; the answer never says why.
    """
    head, body, _ = _parts(assertion)
    header = _object(head)
    if not _NEVER.isdisjoint(header):
        raise _refused()
    strict = str(header.get("typ", "")).lower() == STRICT_TYPE
    if not any(_signed(assertion, header, each, strict=strict) for each in _named(header, certificates)):
        raise _refused()
    claims = _object(body)
    audiences = set(issuers) if strict else {*issuers, *endpoints}
    audience = claims.get("aud")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise _refused()
    if not isinstance(audience, str) or audience not in audiences:
        raise _refused()
    ends = _checked_end(claims, now, STRICT_LONGEST if strict else LONGEST)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI:
        raise _refused()
    return Assertion(jti, ends + LEEWAY)


def _checked_end(claims: dict[str, Any], now: datetime, longest: timedelta) -> datetime:
    ends, begins = _moment(claims, "exp"), _moment(claims, "nbf")
    made = _moment(claims, "iat") or begins
    if ends is None or now >= ends + LEEWAY:
        raise _refused()
    if any(each is not None and each > now + LEEWAY for each in (begins, made)):
        raise _refused()
    if ends - (made or now) > longest or ends > now + longest + LEEWAY:
        raise _refused()
    return ends


def _moment(claims: dict[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused()
    try:
        return datetime.fromtimestamp(int(value), UTC)  # some write fractions, whose sums come out a little too long
    except (ValueError, OverflowError, OSError):
        raise _refused() from None


def _named(header: dict[str, Any], certificates: Sequence[bytes]) -> list[x509.Certificate]:
    """Choose the certificates that a header names. What it says is compared, never looked up anywhere."""
    known = [x509.load_der_x509_certificate(each) for each in certificates]
    by: list[tuple[str, Any]] = [(name, header[name]) for name in ("x5t#S256", "x5t", "kid") if name in header]
    for _, value in by:
        if not isinstance(value, str):
            raise _refused()
    # Some libraries write the padding that RFC 7515 leaves out.
    return [each for each in known if all(value.rstrip("=") in _names_of(each, name) for name, value in by)]


def _names_of(certificate: x509.Certificate, header: str) -> set[str]:
    long, short = certificate.fingerprint(hashes.SHA256()), certificate.fingerprint(hashes.SHA1())  # noqa: S303 - a name that RFC 7515 section 4.1.7 prescribes
    names = {"x5t#S256": {_encoded(long)}, "x5t": {_encoded(short)}}
    if header == "kid":
        texts = {each for pair in names.values() for each in pair}
        return texts | {digest.hex() for digest in (long, short)} | {digest.hex().upper() for digest in (long, short)}
    return names[header]


def _signed(assertion: str, header: dict[str, Any], certificate: x509.Certificate, *, strict: bool) -> bool:
    key = certificate.public_key()
    is_rsa = isinstance(key, RSAPublicKey)
    allowed = (frozenset[str]() if strict else _RSA) if is_rsa else _EC
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in allowed:
        return False
    data = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        key_of = (RSAKey if is_rsa else ECKey).import_key(data)
        jws.deserialize_compact(assertion, key_of, registry=_Roomy(algorithms=[algorithm]))
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _parts(assertion: str) -> tuple[bytes, bytes, bytes]:
    pieces = assertion.split(".")
    if len(assertion) > MAX_BYTES or len(pieces) != 3 or not assertion.isascii():
        raise _refused()
    head, body, signature = map(_decoded, pieces)
    return head, body, signature


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused() from None


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = decode_any(data)
    except InvalidJsonError:
        raise _refused() from None
    if not isinstance(value, dict):
        raise _refused()
    return value


def _refused() -> InvalidClientError:
    return InvalidClientError("The client id or its certificate is not right.")
