"""Codes and tokens that say nothing by themselves: 256 random bits, of which we keep the SHA-256 alone."""

from __future__ import annotations

import secrets
from typing import Final

from shieldwall.contract.ids import Digest
from shieldwall.contract.strict_json import digest_of_bytes

LONGEST: Final = 512


def new_opaque_token() -> str:
    """Make a code or token."""
    return secrets.token_urlsafe(32)


def digest_of_token(token: str) -> Digest:
    """Return what a code or token is known by; of one that cannot be ours, of nothing."""
    return digest_of_bytes(token.encode("utf-8", "replace") if len(token) <= LONGEST else b"")
