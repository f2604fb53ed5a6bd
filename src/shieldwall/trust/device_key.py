"""The device key: ECDSA over P-256, the curve every TPM 2.0 speaks. Its thumbprint is the device's identity."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import KeyThumbprint
from shieldwall.trust import strict_base64

PublicKey = ec.EllipticCurvePublicKey

SIGNATURE_BYTES: Final = 64
POINT_BYTES: Final = 65
_SPKI_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_ECDSA: Final = ec.ECDSA(hashes.SHA256())


class BadDeviceKeyError(ShieldwallError):
    """The bytes are not a P-256 key in the one encoding we accept."""

    code = "badDeviceKey"
    remedy = "Device keys are ECDSA keys on the curve P-256; let the agent make a new one."


KeyProtection = Literal["software", "tpm", "secureEnclave"]
"""Where a private key lives: in a file, or in a TPM or an Apple Secure Enclave that it never leaves."""


class SigningKey(Protocol):
    """A device's private key, wherever it lives."""

    @property
    def public_key(self) -> PublicKey:
        """The half that may be known."""
        ...

    @property
    def thumbprint(self) -> KeyThumbprint:
        """The name of this key."""
        ...

    @property
    def protection(self) -> KeyProtection:
        """Where it lives."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Sign with SHA-256; the answer is ``r`` and ``s``, 32 bytes each, as RFC 9421 section 3.3.4 wants it."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A signing key held in memory and kept in a file."""

    private_key: ec.EllipticCurvePrivateKey
    thumbprint: KeyThumbprint = field(init=False, repr=False, compare=False)
    """The name of this key, which every request and every manifest is compared with: worked out once."""

    def __post_init__(self) -> None:
        """Name the key."""
        object.__setattr__(self, "thumbprint", thumbprint(self.public_key))

    @classmethod
    def generate(cls) -> DeviceKey:
        """Make a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> DeviceKey:
        """Read an unencrypted PKCS #8 key. Raises: BadDeviceKeyError."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as in dsse

        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BadDeviceKeyError("The file does not hold an unencrypted private key in PEM.") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BadDeviceKeyError("The private key is not on the curve P-256.")
        return cls(key)

    def to_pem(self) -> bytes:
        """Write the key as unencrypted PKCS #8; the caller guards the file."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as in dsse
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public_key(self) -> PublicKey:
        """The half that may be known."""
        return self.private_key.public_key()

    @property
    def protection(self) -> KeyProtection:
        """See ``SigningKey.protection``."""
        return "software"

    def sign(self, data: bytes) -> bytes:
        """See ``SigningKey.sign``."""
        r, s = decode_dss_signature(self.private_key.sign(data, _ECDSA))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def is_signed_by(public_key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Tell whether ``signature`` (``r`` and ``s``, 64 bytes) over ``data`` was made by this key."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        public_key.verify(signature_der(signature), data, _ECDSA)
    except InvalidSignature:
        return False
    return True


def signature_der(signature: bytes) -> bytes:
    """Write a signature of 64 bytes in the form of X.509."""
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def public_key_bytes(key: PublicKey) -> bytes:
    """Write a public key as its uncompressed point, 65 bytes: the form that loads fastest."""
    numbers = key.public_numbers()
    return b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def public_key_from_bytes(data: bytes) -> PublicKey:
    """Read an uncompressed point. Raises: BadDeviceKeyError."""
    if len(data) != POINT_BYTES or data[0] != 4:  # 4 marks an uncompressed point (SEC 1, section 2.3.3)
        raise BadDeviceKeyError("A public key is an uncompressed P-256 point of 65 bytes.")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError:
        raise BadDeviceKeyError("The point does not lie on the curve P-256.") from None


def public_key_info(key: PublicKey) -> bytes:
    """Write a public key as SubjectPublicKeyInfo in DER."""
    return _SPKI_PREFIX + public_key_bytes(key)


def public_key_from_info(data: bytes) -> PublicKey:
    """Read a SubjectPublicKeyInfo of a P-256 key with an uncompressed point. Raises: BadDeviceKeyError."""
    if not data.startswith(_SPKI_PREFIX):
        raise BadDeviceKeyError("The public key is not an uncompressed P-256 point in a SubjectPublicKeyInfo.")
    return public_key_from_bytes(data[len(_SPKI_PREFIX) :])


def thumbprint(public_key: PublicKey) -> KeyThumbprint:
    """Name a public key by its RFC 7638 thumbprint."""
    point = public_key_bytes(public_key)
    x, y = strict_base64.encode_url(point[1:33]), strict_base64.encode_url(point[33:])
    members = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    return KeyThumbprint(strict_base64.encode_url(hashlib.sha256(members.encode()).digest()))
