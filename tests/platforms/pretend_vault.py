"""A TPM and a seal in memory, as CNG and DPAPI behave."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shieldwall.agent.windows.vault import CngError


@dataclass
class PretendTpmKeys:
    """Implements ``NamedKeys``. One that ``refuses`` makes no keys; one that ``lies`` signs with another key."""

    refuses: bool = False
    lies: bool = False
    made: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    def make(self, name: str) -> bytes:
        if self.refuses:
            raise CngError("NCryptCreatePersistedKey refused", status=0x80290407)
        key = ec.generate_private_key(ec.SECP256R1())
        self.made[name] = key
        return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def sign(self, name: str, digest: bytes) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1()) if self.lies else self.made[name]
        r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def destroy(self, name: str) -> None:
        self.made.pop(name, None)


@dataclass(frozen=True)
class PretendSeal:
    """Implements ``Seal`` for one account."""

    account: bytes = b"agent"

    def seal(self, content: bytes) -> bytes:
        return self._tag(content) + content[::-1]

    def open(self, sealed: bytes) -> bytes:
        content = sealed[32:][::-1]
        if sealed[:32] != self._tag(content):
            raise CngError("DPAPI does not open the key", status=0x8009000B)
        return content

    def _tag(self, content: bytes) -> bytes:
        return hashlib.sha256(self.account + content).digest()
