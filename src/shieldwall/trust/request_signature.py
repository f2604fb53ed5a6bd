"""The signature on every request of a device: one fixed profile of RFC 9421.

The profile leaves nothing to choose: label ``sw``, six covered components in one order, six parameters in one order,
ECDSA P-256 with SHA-256, Content-Digest with SHA-256. So the signature base is a handful of known lines and a check
costs little more than the curve arithmetic. What is not exactly the profile is refused, even where
RFC 9421 would allow it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import KeyThumbprint
from shieldwall.trust import strict_base64
from shieldwall.trust.device_key import SIGNATURE_BYTES, PublicKey, SigningKey, is_signed_by

ALGORITHM: Final = "ecdsa-p256-sha256"
TAG: Final = "shieldwall-device-v1"
LIFETIME_SECONDS: Final = 120
CLOCK_SKEW_SECONDS: Final = 300

_COVERED: Final = '("@method" "@authority" "@path" "@query" "content-type" "content-digest")'
_INPUT: Final = re.compile(
    r"sw=(?P<parameters>"
    + re.escape(_COVERED)
    + r";created=(?P<created>[1-9][0-9]{0,11});expires=(?P<expires>[1-9][0-9]{0,11})"
    + r';nonce="(?P<nonce>[A-Za-z0-9_-]{22,64})";keyid="(?P<keyid>[A-Za-z0-9_-]{43})"'
    + re.escape(f';alg="{ALGORITHM}";tag="{TAG}"')
    + r")\Z"
)
_SIGNATURE: Final = re.compile(r"sw=:([A-Za-z0-9+/]{86}==):\Z")
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{22,64}\Z")
_MAX_HEADER: Final = 1024


class BadSignatureError(ShieldwallError):
    """The request is not signed, or not by the key it names, or not in our profile."""

    code = "badSignature"
    remedy = "Sign the request exactly as the device protocol says, with the key the device registered."


class ClockSkewError(ShieldwallError):
    """The signature belongs to another time."""

    code = "clockSkew"
    remedy = "Ask the server for signed time, keep the difference, and sign again."


class SignedHeaders(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The four headers of a signed request as received; several lines of one name are joined by ``", "``."""

    content_type: str | None
    content_digest: str | None
    signature_input: str | None
    signature: str | None


class RequestSignature(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A well-formed signature: nothing is believed yet."""

    keyid: KeyThumbprint
    created: int
    expires: int
    nonce: str
    content_type: str
    content_digest: str
    parameters: str
    signature: bytes

    def check_window(self, now: int) -> None:
        """Refuse a signature of another time; ``now`` is in seconds since 1970.

        The signer's clock may be five minutes ahead. A signature past its own ``expires`` is refused however small the
        skew, so a clock that lags by more than the lifetime has to be corrected first.

        Raises:
            ClockSkewError: Created too far from now, expired, or meant to live too long.
        """
        if abs(now - self.created) > CLOCK_SKEW_SECONDS:
            raise ClockSkewError("The signature was made more than five minutes away from the server's time.")
        if not self.created < self.expires <= self.created + LIFETIME_SECONDS:
            raise ClockSkewError("The signature does not expire within two minutes of being made.")
        if now > self.expires:
            raise ClockSkewError("The signature has expired.")

    def verify(self, public_key: PublicKey, *, method: str, authority: str, path: str, query: str, body: bytes) -> None:
        """Check body and signature against what was really received.

        ``authority`` is the configured public host, never the Host header of the last hop; ``path`` and ``query`` are
        the raw, still encoded parts of the request target, the query without its question mark.

        Raises:
            BadSignatureError: Body, request or key is another one.
        """
        if content_digest(body) != self.content_digest:
            raise BadSignatureError("The body is not the one that was signed.")
        base = signature_base(
            method=method,
            authority=authority,
            path=path,
            query=query,
            content_type=self.content_type,
            digest=self.content_digest,
            parameters=self.parameters,
        )
        if not is_signed_by(public_key, self.signature, base):
            raise BadSignatureError("The signature does not match the request and the key it names.")


def parse_signature(headers: SignedHeaders) -> RequestSignature:
    """Read the headers of a signed request.

    Raises:
        BadSignatureError: A header is missing, doubled, or not exactly in our profile.
    """
    content_type = _present(headers.content_type, "Content-Type")
    digest = _present(headers.content_digest, "Content-Digest")
    inputs = _INPUT.match(_present(headers.signature_input, "Signature-Input"))
    if inputs is None:
        raise BadSignatureError("The header Signature-Input is not in the profile of the device protocol.")
    value = _SIGNATURE.match(_present(headers.signature, "Signature"))
    if value is None:
        raise BadSignatureError("The header Signature is not one signature labelled sw.")
    try:
        signature = strict_base64.decode(value[1])
    except ValueError:
        raise BadSignatureError("The signature is not strict base64.") from None
    assert len(signature) == SIGNATURE_BYTES, "86 digits and two pads are 64 bytes"
    return RequestSignature(
        keyid=KeyThumbprint(inputs["keyid"]),
        created=int(inputs["created"]),
        expires=int(inputs["expires"]),
        nonce=inputs["nonce"],
        content_type=content_type,
        content_digest=digest,
        parameters=inputs["parameters"],
        signature=signature,
    )


def sign_request(
    key: SigningKey,
    *,
    method: str,
    authority: str,
    path: str,
    query: str = "",
    content_type: str = "application/json",
    body: bytes,
    created: int,
    nonce: str,
) -> dict[str, str]:
    """Sign a request and return the headers to send with it.

    ``nonce`` is 128 bits or more as hexadecimal or base64url digits.

    Raises:
        BadSignatureError: The parts given cannot be signed; a programming error of the caller.
    """
    if not _NONCE.match(nonce):
        raise BadSignatureError("A nonce has 22 to 64 base64url digits.")
    parameters = (
        f"{_COVERED};created={created};expires={created + LIFETIME_SECONDS}"
        f';nonce="{nonce}";keyid="{key.thumbprint}";alg="{ALGORITHM}";tag="{TAG}"'
    )
    digest = content_digest(body)
    base = signature_base(
        method=method,
        authority=authority,
        path=path,
        query=query,
        content_type=content_type,
        digest=digest,
        parameters=parameters,
    )
    return {
        "Content-Type": content_type,
        "Content-Digest": digest,
        "Signature-Input": f"sw={parameters}",
        "Signature": f"sw=:{strict_base64.encode(key.sign(base))}:",
    }


def content_digest(body: bytes) -> str:
    """Write the one Content-Digest (RFC 9530) we accept for a body."""
    return f"sha-256=:{strict_base64.encode(hashlib.sha256(body).digest())}:"


def signature_base(
    *, method: str, authority: str, path: str, query: str, content_type: str, digest: str, parameters: str
) -> bytes:
    """Put together the bytes that are signed (RFC 9421 section 2.5). Raises: BadSignatureError."""
    received = f"{method}{authority}{path}{query}{content_type}"
    if not (received.isascii() and received.isprintable()):  # a line break would let a value forge another line
        raise BadSignatureError("A signed part of the request holds a character outside printable ASCII.")
    host = authority.lower().removesuffix(":443")  # RFC 9421 section 2.2.3: the default port is left out
    return (
        f'"@method": {method}\n'
        f'"@authority": {host}\n'
        f'"@path": {path or "/"}\n'
        f'"@query": ?{query}\n'
        f'"content-type": {content_type}\n'
        f'"content-digest": {digest}\n'
        f'"@signature-params": {parameters}'
    ).encode("ascii")


def _present(value: str | None, name: str) -> str:
    if not value:
        raise BadSignatureError(f"The header {name} is missing.")
    if len(value) > _MAX_HEADER:
        raise BadSignatureError(f"The header {name} is longer than {_MAX_HEADER} characters.")
    return value
