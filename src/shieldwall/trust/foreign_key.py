"""A signing key in the clothes of the library's private keys, so that its X.509 builders can use any of ours."""

from __future__ import annotations

from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, KeySerializationEncryption, PrivateFormat

from shieldwall.trust.device_key import SigningKey, signature_der


class ForeignKey(ec.EllipticCurvePrivateKey):
    """Signs with ECDSA and SHA-256, and refuses everything else: what is not here never leaves its place."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def sign(
        self, data: bytes | bytearray | memoryview[int], signature_algorithm: ec.EllipticCurveSignatureAlgorithm
    ) -> bytes:
        """Sign; the answer is DER."""
        if not isinstance(signature_algorithm.algorithm, hashes.SHA256):
            raise UnsupportedAlgorithm("The key signs with SHA-256 alone.")
        return signature_der(self._key.sign(bytes(data)))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the half that may be known."""
        return self._key.public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._key.public_key.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self.curve.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Refuse. Raises: UnsupportedAlgorithm."""
        del algorithm, peer_public_key
        raise UnsupportedAlgorithm("The key only signs.")

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Refuse. Raises: UnsupportedAlgorithm."""
        raise UnsupportedAlgorithm("The key does not leave its place.")

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 - the library's name
        encryption_algorithm: KeySerializationEncryption,
    ) -> bytes:
        """Refuse. Raises: UnsupportedAlgorithm."""
        del encoding, format, encryption_algorithm
        raise UnsupportedAlgorithm("The key does not leave its place.")

    def __copy__(self) -> Self:
        """A key never changes, so it is its own copy."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """A key never changes, so it is its own copy."""
        return self
