"""Secrets of receivers at rest: sealed with a key that is not in the database.

The server has to sign with them, so a digest would not do. The key is derived from ``nonce.key``; a secret can be
opened for the receiver that it was sealed for and for no other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_CONTEXT: Final = b"shieldwall-receivers-v1"


class SealedSecretError(ShieldwallError):
    """A secret of a receiver cannot be opened: the server's ``nonce.key`` is another one than when it was sealed."""

    code = "sealedSecret"
    remedy = "Put the old nonce.key back, or give the receiver a new secret and tell it there."


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretBox:
    """Seals and opens secrets of receivers."""

    key: bytes = field(repr=False)
    make_random: Callable[[int], bytes] = secrets.token_bytes

    @classmethod
    def from_file(cls, path: Path) -> SecretBox:
        """Make the box of a server from its ``nonce.key``."""
        derive = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_CONTEXT)
        return cls(key=derive.derive(path.read_bytes()))

    def seal(self, tenant_id: TenantId, receiver_id: str, secret: bytes) -> bytes:
        """Seal a secret of a receiver."""
        nonce = self.make_random(_NONCE_BYTES)
        return nonce + AESGCM(self.key).encrypt(nonce, secret, _for(tenant_id, receiver_id))

    def open(self, tenant_id: TenantId, receiver_id: str, sealed: bytes) -> bytes:
        """Open a secret of a receiver. Raises: SealedSecretError."""
        try:
            return AESGCM(self.key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _for(tenant_id, receiver_id))
        except (InvalidTag, ValueError):
            raise SealedSecretError("The secret of the receiver cannot be opened with this server's key.") from None


def _for(tenant_id: TenantId, receiver_id: str) -> bytes:
    return f"{tenant_id}\0{receiver_id}".encode()
