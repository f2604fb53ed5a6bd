"""Who may do what at the broker: tokens in its own form (NATS JWT, version 2), signed by keys that only we hold.

The operator vouches for one account, the account for every user: each device may listen to its own subject, the server
may publish below ``shieldwall.``, and nobody may do anything else. Whoever holds the account's key can wake devices or
listen to when they are woken; no policy and no report ever passes there.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.trust.nkeys import KeyUse, name_of
from shieldwall.trust.strict_base64 import encode_url

PREFIX: Final = "shieldwall"
DEVICE_LIFETIME: Final = timedelta(days=1)
PUBLISHER_LIFETIME: Final = timedelta(days=1)
_HEADER: Final = encode_url(strict_json.encode({"alg": "ed25519-nkey", "typ": "JWT"}))
_UNLIMITED: Final = -1
_EVERYTHING: Final = ">"


def subject_of(tenant_id: TenantId, device_id: DeviceId) -> str:
    """Return the subject on which a device hears that it should come."""
    return f"{PREFIX}.{tenant_id}.{device_id}"


def operator_token(operator: Ed25519PrivateKey, now: datetime) -> str:
    """Let the operator vouch for itself: the root of the broker's trust."""
    name = name_of(KeyUse.OPERATOR, operator.public_key())
    return _signed(operator, _claims(name, name, now, {"type": "operator"}))


def account_token(operator: Ed25519PrivateKey, account: Ed25519PrivateKey, now: datetime) -> str:
    """Let the operator vouch for the account that all users belong to."""
    limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), _UNLIMITED)
    details = {"type": "account", "limits": limits | {"wildcards": True}}
    issuer = name_of(KeyUse.OPERATOR, operator.public_key())
    return _signed(operator, _claims(issuer, name_of(KeyUse.ACCOUNT, account.public_key()), now, details))


def device_token(account: Ed25519PrivateKey, key_name: str, subject: str, now: datetime) -> str:
    """Let the holder of a key listen to one subject for ``DEVICE_LIFETIME``, and say nothing."""
    details = {"type": "user", "pub": {"deny": [_EVERYTHING]}, "sub": {"allow": [subject]}, "subs": 1}
    return _signed(account, _user_claims(account, key_name, now, details, DEVICE_LIFETIME))


def publisher_token(account: Ed25519PrivateKey, key_name: str, now: datetime) -> str:
    """Let the server wake any device for ``PUBLISHER_LIFETIME``, and hear nothing."""
    details = {"type": "user", "pub": {"allow": [f"{PREFIX}.{_EVERYTHING}"]}, "sub": {"deny": [_EVERYTHING]}}
    return _signed(account, _user_claims(account, key_name, now, details, PUBLISHER_LIFETIME))


def _user_claims(
    account: Ed25519PrivateKey, key_name: str, now: datetime, details: dict[str, Any], lifetime: timedelta
) -> dict[str, Any]:
    issuer = name_of(KeyUse.ACCOUNT, account.public_key())
    limits = dict.fromkeys(("data", "payload", "subs"), _UNLIMITED)
    expires = {"exp": int((now + lifetime).timestamp())}
    return _claims(issuer, key_name, now, limits | details) | expires


def _claims(issuer: str, subject: str, now: datetime, details: dict[str, Any]) -> dict[str, Any]:
    return {"iss": issuer, "sub": subject, "iat": int(now.timestamp()), "nats": {"version": 2, **details}}


def _signed(key: Ed25519PrivateKey, claims: dict[str, Any]) -> str:
    named = hashlib.sha256(strict_json.encode(claims)).digest()
    jti = base64.b32encode(named).decode("ascii").rstrip("=")
    text = f"{_HEADER}.{encode_url(strict_json.encode({**claims, 'jti': jti}))}"
    return f"{text}.{encode_url(key.sign(text.encode('ascii')))}"
