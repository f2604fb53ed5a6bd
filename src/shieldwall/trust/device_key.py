"""The device key: ECDSA over P-256, the curve every TPM 2.0 speaks. Its thumbprint is the device's identity."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import KeyThumbprint
from shieldwall.trust import strict_base64

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PublicKey = ec.EllipticCurvePublicKey

SIGNATURE_BYTES: Final = 64
POINT_BYTES: Final = 65
_SPKI_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_PKCS8_PREFIX: Final = bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420")
_PKCS8_POINT: Final = bytes.fromhex("a144034200")
_PEM_BEGIN: Final = b"-----BEGIN PRIVATE KEY-----\n"
_PEM_END: Final = b"-----END PRIVATE KEY-----\n"
_PEM_LINE: Final = 64
_SHA256: Final = hashes.SHA256()


class BadDeviceKeyError(ShieldwallError):
    """The bytes are not a P-256 key in the one encoding we accept."""

    code = "badDeviceKey"
    remedy = "Device keys are ECDSA keys on the curve P-256; let the agent make a new one."


class _Ecdsa(ec.ECDSA):
    """ECDSA with SHA-256 and random nonces.

    The library's own constructor loads RSA and ciphers, half a megabyte, to ask whether nonces could be derived.
    """

    def __init__(self) -> None:
        """Ask nobody."""

    @property
    def algorithm(self) -> hashes.HashAlgorithm:
        """See ``ec.ECDSA.algorithm``."""
        return _SHA256

    @property
    def deterministic_signing(self) -> bool:
        """See ``ec.ECDSA.deterministic_signing``."""
        return False


_ECDSA: Final = _Ecdsa()


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
        key = _from_our_pem(pem) or _from_any_pem(pem)
        if key is None:
            raise BadDeviceKeyError("The file does not hold an unencrypted private key in PEM.")
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BadDeviceKeyError("The private key is not on the curve P-256.")
        return cls(key)

    def to_pem(self) -> bytes:
        """Write the key as unencrypted PKCS #8; the caller guards the file."""
        return _pem(self.private_key)

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


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a private key as unencrypted PKCS #8 (RFC 5958 and 5915), in the one form that the library has for it."""
    number = key.private_numbers().private_value.to_bytes(32, "big")
    text = base64.b64encode(_PKCS8_PREFIX + number + _PKCS8_POINT + public_key_bytes(key.public_key()))
    lines = [text[start : start + _PEM_LINE] + b"\n" for start in range(0, len(text), _PEM_LINE)]
    return b"".join((_PEM_BEGIN, *lines, _PEM_END))


def _from_our_pem(pem: bytes) -> ec.EllipticCurvePrivateKey | None:
    """Read a private key that is written as ``_pem`` writes it, byte for byte, and no other.

    So a device loads what reads any key, keys of SSH and RSA too, only where somebody brought it one.
    """
    try:
        content = base64.b64decode(pem.removeprefix(_PEM_BEGIN).removesuffix(_PEM_END))
        number = int.from_bytes(content.removeprefix(_PKCS8_PREFIX)[:32], "big")
        key = ec.derive_private_key(number, ec.SECP256R1())
    except ValueError:
        return None
    return key if _pem(key) == pem else None


def _from_any_pem(pem: bytes) -> PrivateKeyTypes | None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as in dsse

    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
