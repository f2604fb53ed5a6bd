"""Access tokens whose signature was verified before: what they say is remembered, what it is worth is asked anew.

To verify a signature costs more than everything else that a request's token is looked at for, and programs send the
same token for an hour. So its claims are kept beside the keys that verified them. They count for nothing once keys were
asked for again, as ``VerificationKeys`` does every half minute; and audience, issuer and time, the application, the
person and what was taken back since are looked at with every request.

Tokens are known by their SHA-256, so that none lies in memory, and only those that we signed are remembered.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from joserfc.jwk import KeySet

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.access_tokens import claimed_key, claimed_tenant, signed_claims

MOST_TOKENS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a token says of itself: it chooses the keys to verify with, and is not believed before."""

    tenant_id: TenantId
    key_id: str


@dataclass(frozen=True, slots=True)
class _Known:
    claimed: Claimed
    keys: KeySet
    claims: Mapping[str, Any]


class KnownTokens:
    """Remembers the tokens that came last. Safe to ask from several threads."""

    def __init__(self, most: int = MOST_TOKENS) -> None:
        self._most: Final = most
        self._lock: Final = threading.Lock()
        self._known: Final[dict[bytes, _Known]] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def claimed(self, token: str) -> Claimed:
        """Read whose token it says it is. Raises: UnauthenticatedError: It is no token of ours."""
        known = self._known.get(_name_of(token))
        return Claimed(claimed_tenant(token), claimed_key(token)) if known is None else known.claimed

    def signed_claims(self, token: str, keys: KeySet) -> Mapping[str, Any]:
        """Return what a token says that one of these keys signed. Raises: UnauthenticatedError: None of them did."""
        name = _name_of(token)
        with self._lock:
            known = self._known.pop(name, None)
            if known is not None and known.keys is keys:
                self._known[name] = known  # last in the order, which is that of use
                return known.claims
        claims = signed_claims(token, keys)
        known = _Known(Claimed(claimed_tenant(token), claimed_key(token)), keys, claims)
        with self._lock:
            self._known[name] = known
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        return claims


def _name_of(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
