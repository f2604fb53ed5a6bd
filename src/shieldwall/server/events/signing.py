"""Signatures of deliveries, by the Standard Webhooks specification (symmetric, ``v1``).

What is signed is ``id.timestamp.body`` with HMAC-SHA256. While a secret is being replaced there are two signatures, and
a receiver takes what either of its secrets verifies.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def show_secret(secret: bytes) -> str:
    """Write a secret the way that libraries of receivers expect it."""
    return PREFIX + base64.b64encode(secret).decode("ascii")


def signed_headers(secrets: Iterable[bytes], message_id: str, now: datetime, body: bytes) -> Mapping[str, str]:
    """Return the headers that let a receiver know who sent a body, and when; one signature a secret."""
    timestamp = str(int(now.timestamp()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, message_id, timestamp, body) for secret in secrets),
    }


def _signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((message_id.encode("ascii"), timestamp.encode("ascii"), body))
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode("ascii")
