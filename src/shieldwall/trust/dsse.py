"""DSSE envelopes, version 1: Ed25519 signatures over a payload together with its type.

The payload is verified as the bytes it travelled as and handed out only then; nobody parses what nobody signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import Envelope, Signature
from shieldwall.trust import strict_base64

MAX_PAYLOAD_BYTES: Final = 1024 * 1024


class BadEnvelopeError(ShieldwallError):
    """The envelope cannot be opened."""

    code = "badEnvelope"
    remedy = "Fetch the document again from the server that this device was onboarded to."


class WrongPayloadTypeError(BadEnvelopeError):
    """The envelope holds another kind of document than expected."""

    code = "wrongPayloadType"


class TooFewSignaturesError(BadEnvelopeError):
    """Not enough trusted keys signed exactly this payload."""

    code = "envelopeSignature"


class BadEnvelopeKeyError(ShieldwallError):
    """The bytes are not an Ed25519 key in the encoding we accept."""

    code = "badEnvelopeKey"
    remedy = "Keys of roles are Ed25519 keys, named by the SHA-256 of their public half."


class PublicEnvelopeKey(Struct, frozen=True):
    """The public half of a role's key: 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        """Refuse what is not an Ed25519 public key."""
        if len(self.raw) != 32:
            raise BadEnvelopeKeyError("An Ed25519 public key has 32 bytes.")

    @property
    def keyid(self) -> str:
        """The one name of this key, so that no key can stand in a list twice: SHA-256 in hexadecimal."""
        return hashlib.sha256(self.raw).hexdigest()

    def has_signed(self, signature: bytes, data: bytes) -> bool:
        """Tell whether this key made ``signature`` over ``data``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


class EnvelopeKey(Struct, frozen=True):
    """The private key of a role.

    What reads and writes files of keys is loaded where there is one to read or write: it is a megabyte, for keys of SSH
    and RSA too, and whoever only verifies, as the applier of every device does, is without it.
    """

    private_key: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> EnvelopeKey:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> EnvelopeKey:
        """Read an unencrypted PKCS #8 key. Raises: BadEnvelopeKeyError."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - see above

        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BadEnvelopeKeyError("The file does not hold an unencrypted private key in PEM.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadEnvelopeKeyError("The private key is not an Ed25519 key.")
        return cls(key)

    def to_pem(self) -> bytes:
        """Write the key as unencrypted PKCS #8; the caller guards the file."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see above
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> PublicEnvelopeKey:
        """The half that may be known."""
        return PublicEnvelopeKey(self.private_key.public_key().public_bytes_raw())

    @property
    def keyid(self) -> str:
        """The name of this key."""
        return self.public.keyid


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Bind payload and type into the bytes that are signed (DSSE v1, PAE)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, payload_type: str, *keys: EnvelopeKey) -> Envelope:
    """Sign a payload with every key given."""
    signed = pre_authentication_encoding(payload_type, payload)
    return Envelope(
        payload=strict_base64.encode(payload),
        payload_type=payload_type,
        signatures=tuple(
            Signature(keyid=key.keyid, sig=strict_base64.encode(key.private_key.sign(signed))) for key in keys
        ),
    )


def open_envelope(
    envelope: Envelope,
    payload_type: str,
    keys: Mapping[str, PublicEnvelopeKey],
    threshold: int = 1,
    *,
    max_bytes: int = MAX_PAYLOAD_BYTES,
) -> bytes:
    """Return the payload once enough trusted keys have signed it.

    Signatures of strangers are passed over. The threshold counts keys, not signatures and not key ids: one key under
    two names is one key.

    Raises:
        WrongPayloadTypeError: It holds another kind of document.
        TooFewSignaturesError: Too few of ``keys`` signed it.
        BadEnvelopeError: It is too large or not strict base64.
        ValueError: The threshold is below one.
    """
    if threshold < 1:  # no assertion: it holds where Python is run without them, too
        raise ValueError("A threshold below one would trust everybody.")
    if envelope.payload_type != payload_type:
        raise WrongPayloadTypeError(
            f"The envelope holds {envelope.payload_type[:64]!r}, expected was {payload_type!r}."
        )
    if len(envelope.payload) > (max_bytes + 2) // 3 * 4:
        raise BadEnvelopeError(f"The envelope holds more than {max_bytes} bytes.")
    payload = _decoded(envelope.payload, "payload")
    if len(payload) > max_bytes:
        raise BadEnvelopeError(f"The envelope holds more than {max_bytes} bytes.")
    signed = pre_authentication_encoding(payload_type, payload)
    signers = {
        key.raw
        for signature in envelope.signatures
        if (key := keys.get(signature.keyid)) and key.has_signed(_decoded(signature.sig, "signature"), signed)
    }
    if len(signers) < threshold:
        raise TooFewSignaturesError(f"{len(signers)} of {threshold} trusted keys needed have signed this document.")
    return payload


def _decoded(text: str, part: str) -> bytes:
    try:
        return strict_base64.decode(text)
    except ValueError as error:
        raise BadEnvelopeError(f"The {part} of the envelope cannot be read: {error}") from None
