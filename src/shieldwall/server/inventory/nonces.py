"""Registration nonces: sealed, so that the server keeps nothing until one is redeemed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest, TenantId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.trust import strict_base64

LIFETIME: Final = timedelta(minutes=5)
KEY_BYTES: Final = 32
_RANDOM_BYTES: Final = 12
_TIME_BYTES: Final = 8
_TAG_BYTES: Final = 16
_CONTEXT: Final = b"shieldwall-nonce-v1\0"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class BadNonceError(ShieldwallError):
    """The nonce is not one of ours, not for this tenant, too old, or used."""

    code = "badNonce"
    remedy = "Ask for a new nonce and register with it within five minutes."


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshNonce:
    """A nonce that was opened in time: by what name it is used up, and how long that has to be remembered."""

    digest: Digest
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceSealer:
    """Makes nonces and knows them again, with one AES-GCM key and no memory."""

    key: bytes = field(repr=False)
    make_random: Callable[[int], bytes] = secrets.token_bytes

    def seal(self, tenant_id: TenantId, now: datetime) -> str:
        """Make a nonce for a registration in this tenant."""
        made_at = ((now - _EPOCH) // _MILLISECOND).to_bytes(_TIME_BYTES, "big")
        random = self.make_random(_RANDOM_BYTES)
        return strict_base64.encode_url(random + AESGCM(self.key).encrypt(random, made_at, _for(tenant_id)))

    def open(self, nonce: str, tenant_id: TenantId, now: datetime) -> FreshNonce:
        """Know a nonce again while it is good. Raises: BadNonceError."""
        try:
            sealed = strict_base64.decode_url(nonce)
            if len(sealed) != _RANDOM_BYTES + _TIME_BYTES + _TAG_BYTES:
                raise BadNonceError("The nonce is not one of this server's.")
            made_at = AESGCM(self.key).decrypt(sealed[:_RANDOM_BYTES], sealed[_RANDOM_BYTES:], _for(tenant_id))
        except (ValueError, InvalidTag):
            raise BadNonceError("The nonce is not one of this server's.") from None
        made = _EPOCH + int.from_bytes(made_at, "big") * _MILLISECOND
        if not made <= now < made + LIFETIME:
            raise BadNonceError("The nonce is not of this time.")
        return FreshNonce(digest=digest_of_bytes(nonce.encode("ascii")), expires_at=made + LIFETIME)


def _for(tenant_id: TenantId) -> bytes:
    return _CONTEXT + tenant_id.encode("ascii")
