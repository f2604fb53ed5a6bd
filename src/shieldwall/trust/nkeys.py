"""Names of Ed25519 keys as the message broker NATS writes them, for both sides of a wake-up line.

A name is base32 of one byte that says what the key is for, the public key, and a CRC-16 of both (NATS ADR-14, the nkeys
specification). Nothing is believed because a name is well formed: it only keeps typing mistakes apart from keys.
"""

from __future__ import annotations

import base64
import binascii
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shieldwall.contract.errors import ShieldwallError

_NAME_DIGITS = 56
_KEY_BYTES = 32


class BadKeyNameError(ShieldwallError):
    """The text does not name a key of the broker."""

    code = "badKeyName"
    remedy = "Send the name as the key's own tool writes it: 56 digits of base32."


class KeyUse(IntEnum):
    """What a key is for: the byte that a name begins with, which shows as its first letter."""

    OPERATOR = 14 << 3
    ACCOUNT = 0
    USER = 20 << 3


def name_of(use: KeyUse, key: Ed25519PublicKey) -> str:
    """Write the name of a key."""
    named = bytes([use]) + key.public_bytes_raw()
    return base64.b32encode(named + _checksum(named)).decode("ascii")


def check_name(use: KeyUse, name: str) -> None:
    """Refuse what does not name a key of this use. Raises: BadKeyNameError."""
    try:
        read = base64.b32decode(name) if len(name) == _NAME_DIGITS else b""
    except (ValueError, binascii.Error):
        read = b""
    named, checksum = read[: 1 + _KEY_BYTES], read[1 + _KEY_BYTES :]
    if not read or named[0] != use or checksum != _checksum(named):
        raise BadKeyNameError(f"This does not name a key of the kind {use.name.lower()}.")


def _checksum(named: bytes) -> bytes:
    return binascii.crc_hqx(named, 0).to_bytes(2, "little")
