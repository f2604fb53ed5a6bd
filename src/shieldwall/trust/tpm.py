"""Structures of TPM 2.0 as they travel between a device and its server (TPM 2.0 Library, Part 2), read strictly.

Big-endian, every length checked against what is there, nothing left over at the end. Only what the protocol uses is
known: public areas of P-256 and RSA-2048 keys with SHA-256 names, and the statement that TPM2_Certify makes.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError
from shieldwall.trust.device_key import PublicKey

EndorsementPublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

MAX_STRUCTURE_BYTES: Final = 2048

ALGORITHM_RSA: Final = 0x0001
ALGORITHM_AES: Final = 0x0006
ALGORITHM_SHA256: Final = 0x000B
ALGORITHM_NULL: Final = 0x0010
ALGORITHM_ECDSA: Final = 0x0018
ALGORITHM_ECC: Final = 0x0023
ALGORITHM_CFB: Final = 0x0043
CURVE_P256: Final = 0x0003

NAME_BYTES: Final = 34
COORDINATE_BYTES: Final = 32
MODULUS_BYTES: Final = 256
_RSA_EXPONENT: Final = 65_537
_GENERATED: Final = 0xFF544347
_CERTIFY: Final = 0x8017
_CLOCK_AND_FIRMWARE_BYTES: Final = 8 + 4 + 4 + 1 + 8

ENDORSEMENT_POLICY: Final = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
"""PolicyA of the TCG EK Credential Profile: whoever speaks for the endorsement hierarchy may use the key."""


class MalformedTpmStructureError(ShieldwallError):
    """The bytes are not the structure of a TPM that they should be."""

    code = "attestationMalformed"
    remedy = "Send structures exactly as the TPM gives them: P-256 keys, endorsement keys of the templates L-1 or L-2."


class Attribute(enum.IntFlag):
    """What a TPM lets a key do (TPMA_OBJECT)."""

    FIXED_TPM = 1 << 1
    FIXED_PARENT = 1 << 4
    SENSITIVE_DATA_ORIGIN = 1 << 5
    USER_WITH_AUTH = 1 << 6
    ADMIN_WITH_POLICY = 1 << 7
    NO_DICTIONARY_ATTACK = 1 << 10
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN = 1 << 18


_BORN_HERE: Final = Attribute.FIXED_TPM | Attribute.FIXED_PARENT | Attribute.SENSITIVE_DATA_ORIGIN
_OPEN_CHILD: Final = _BORN_HERE | Attribute.USER_WITH_AUTH | Attribute.NO_DICTIONARY_ATTACK
DEVICE_KEY: Final = _OPEN_CHILD | Attribute.SIGN
ATTESTATION_KEY: Final = DEVICE_KEY | Attribute.RESTRICTED
STORAGE_ROOT_KEY: Final = _OPEN_CHILD | Attribute.RESTRICTED | Attribute.DECRYPT
ENDORSEMENT_KEY: Final = _BORN_HERE | Attribute.ADMIN_WITH_POLICY | Attribute.RESTRICTED | Attribute.DECRYPT


class Reader:
    """Reads one structure from its beginning to its end; ``error`` is what is raised when it cannot be read."""

    __slots__ = ("_at", "_data", "_error")

    def __init__(self, data: bytes, error: type[ShieldwallError] = MalformedTpmStructureError) -> None:
        if len(data) > MAX_STRUCTURE_BYTES:
            raise error(f"A structure of a TPM is larger than {MAX_STRUCTURE_BYTES} bytes.")
        self._data = data
        self._at = 0
        self._error = error

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        end = self._at + count
        if end > len(self._data):
            raise self._error("A structure of a TPM ends too early.")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, count: int) -> int:
        """Return the next number of ``count`` bytes."""
        return int.from_bytes(self.take(count), "big")

    def sized(self, largest: int) -> bytes:
        """Return the content of a TPM2B of at most ``largest`` bytes."""
        size = self.number(2)
        if size > largest:
            raise self._error("A part of a TPM's structure is larger than it may be.")
        return self.take(size)

    def end(self) -> None:
        """Expect that nothing follows."""
        if self._at != len(self._data):
            raise self._error("A structure of a TPM has bytes after its end.")


def sized(content: bytes) -> bytes:
    """Write a TPM2B: two bytes of length, then the content."""
    return len(content).to_bytes(2, "big") + content


class PublicArea(Struct, frozen=True, kw_only=True):
    """The public half of a key in a TPM (TPMT_PUBLIC), with all that the TPM promises about it.

    ``point`` or ``modulus`` is there, according to the kind of key.
    """

    attributes: Attribute
    policy: bytes
    is_storage: bool
    """Protects others with AES-128 in CFB, as storage and endorsement keys do."""
    scheme: int
    data: bytes
    point: bytes | None = None
    modulus: bytes | None = None

    @property
    def name(self) -> bytes:
        """The TPM's own name for the key: algorithm and hash of the whole public area (Part 1, section 16)."""
        return ALGORITHM_SHA256.to_bytes(2, "big") + hashlib.sha256(self.data).digest()


def read_public_area(data: bytes) -> PublicArea:
    """Read a TPMT_PUBLIC. Raises: MalformedTpmStructureError."""
    reader = Reader(data)
    kind = reader.number(2)
    if kind not in {ALGORITHM_ECC, ALGORITHM_RSA}:
        raise MalformedTpmStructureError("A key of the TPM is neither an elliptic curve nor an RSA key.")
    _expect(reader.number(2), ALGORITHM_SHA256, "is not named with SHA-256")
    attributes = Attribute(reader.number(4))
    policy = reader.sized(32)
    is_storage = _protects_others(reader)
    scheme = _scheme(reader)
    point = modulus = None
    if kind == ALGORITHM_ECC:
        _expect(reader.number(2), CURVE_P256, "is not on the curve P-256")
        _expect(reader.number(2), ALGORITHM_NULL, "has a key derivation of its own")
        point = b"\4" + b"".join(reader.sized(COORDINATE_BYTES).rjust(COORDINATE_BYTES, b"\0") for _ in "xy")
    else:
        _expect(reader.number(2), 2048, "is not an RSA key of 2048 bits")
        _expect(reader.number(4) or _RSA_EXPONENT, _RSA_EXPONENT, "has another exponent than 65537")
        modulus = reader.sized(MODULUS_BYTES)
    reader.end()
    return PublicArea(
        attributes=attributes,
        policy=policy,
        is_storage=is_storage,
        scheme=scheme,
        data=data,
        point=point,
        modulus=modulus,
    )


def curve_key(area: PublicArea) -> PublicKey:
    """Return the key of a public area on P-256. Raises: MalformedTpmStructureError."""
    if area.point is None:
        raise MalformedTpmStructureError("A key of the TPM is not on the curve P-256.")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), area.point)
    except ValueError:
        raise MalformedTpmStructureError("A key of the TPM does not lie on the curve P-256.") from None


def endorsement_key(area: PublicArea) -> EndorsementPublicKey:
    """Return the key of an endorsement key's public area. Raises: MalformedTpmStructureError."""
    if area.modulus is None:
        return curve_key(area)
    modulus = int.from_bytes(area.modulus, "big")
    if modulus.bit_length() != 8 * MODULUS_BYTES or modulus % 2 == 0:  # the library takes it, and then cannot encrypt
        raise MalformedTpmStructureError("The endorsement key is not an RSA key of 2048 bits.")
    return rsa.RSAPublicNumbers(_RSA_EXPONENT, modulus).public_key()


class Certification(Struct, frozen=True, kw_only=True):
    """What a restricted key of a TPM says about another key: it is loaded here, and this is its name."""

    qualifier: bytes
    name: bytes


def read_certification(data: bytes) -> Certification:
    """Read a TPMS_ATTEST that TPM2_Certify made. Raises: MalformedTpmStructureError."""
    reader = Reader(data)
    _expect(reader.number(4), _GENERATED, "is not marked as made inside a TPM", subject="The statement")
    _expect(reader.number(2), _CERTIFY, "certifies no key", subject="The statement")
    reader.sized(NAME_BYTES)  # the signer's qualified name: it depends on parents that nobody told us about
    qualifier = reader.sized(64)
    reader.take(_CLOCK_AND_FIRMWARE_BYTES)
    name = reader.sized(NAME_BYTES)
    reader.sized(NAME_BYTES)
    reader.end()
    return Certification(qualifier=qualifier, name=name)


def curve_template(attributes: Attribute, *, policy: bytes = b"", unique_bytes: int = 0) -> bytes:
    """Write the public area to make a P-256 key from: a parent of other keys, or a key that signs."""
    parent = bool(attributes & Attribute.DECRYPT)
    scheme = (ALGORITHM_NULL,) if parent else (ALGORITHM_ECDSA, ALGORITHM_SHA256)
    return (
        _head(ALGORITHM_ECC, attributes, policy, parent=parent)
        + _words(*scheme, CURVE_P256, ALGORITHM_NULL)
        + sized(bytes(unique_bytes)) * 2
    )


def rsa_endorsement_template() -> bytes:
    """Write template L-1 of the TCG EK Credential Profile."""
    head = _head(ALGORITHM_RSA, ENDORSEMENT_KEY, ENDORSEMENT_POLICY, parent=True)
    return head + _words(ALGORITHM_NULL, 2048) + bytes(4) + sized(bytes(MODULUS_BYTES))


def curve_endorsement_template() -> bytes:
    """Write template L-2 of the TCG EK Credential Profile."""
    return curve_template(ENDORSEMENT_KEY, policy=ENDORSEMENT_POLICY, unique_bytes=COORDINATE_BYTES)


def storage_root_template() -> bytes:
    """Write the template of the storage root key on P-256, the same on every system."""
    return curve_template(STORAGE_ROOT_KEY, unique_bytes=COORDINATE_BYTES)


def _head(kind: int, attributes: Attribute, policy: bytes, *, parent: bool) -> bytes:
    symmetric = _words(ALGORITHM_AES, 128, ALGORITHM_CFB) if parent else _words(ALGORITHM_NULL)
    return _words(kind, ALGORITHM_SHA256) + attributes.to_bytes(4, "big") + sized(policy) + symmetric


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def _protects_others(reader: Reader) -> bool:
    algorithm = reader.number(2)
    if algorithm == ALGORITHM_NULL:
        return False
    _expect(algorithm, ALGORITHM_AES, "protects others with another cipher than AES")
    _expect(reader.number(2), 128, "protects others with another size than 128 bits")
    _expect(reader.number(2), ALGORITHM_CFB, "protects others in another mode than CFB")
    return True


def _scheme(reader: Reader) -> int:
    scheme = reader.number(2)
    if scheme == ALGORITHM_NULL:
        return scheme
    _expect(scheme, ALGORITHM_ECDSA, "signs with another scheme than ECDSA")
    _expect(reader.number(2), ALGORITHM_SHA256, "signs with another hash than SHA-256")
    return scheme


def _expect(value: int, expected: int, otherwise: str, *, subject: str = "A key of the TPM") -> None:
    if value != expected:
        raise MalformedTpmStructureError(f"{subject} {otherwise}.")
