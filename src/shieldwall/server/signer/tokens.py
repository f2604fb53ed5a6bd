"""Which claims the signer puts its name to: those of a token that ends soon and says when it was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast

from shieldwall.contract import strict_json
from shieldwall.server.signer.errors import UnsignableDocumentError

MAX_CLAIMS_BYTES: Final = 16 * 1024
LONGEST_TOKEN_LIFETIME: Final = timedelta(hours=24)
_SKEW_SECONDS: Final = 300


def checked_claims(claims: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the claims as they will be signed.

    Raises:
        UnsignableDocumentError: Issuer, audience or times are missing, out of bounds or of the wrong type.
    """
    try:
        data = strict_json.encode(claims)
    except (TypeError, ValueError) as error:
        raise UnsignableDocumentError(f"The claims are not JSON: {error}.") from None
    if len(data) > MAX_CLAIMS_BYTES:
        raise UnsignableDocumentError(f"The claims are larger than {MAX_CLAIMS_BYTES} bytes.")
    for name in ("iss", "aud"):
        if not isinstance(claims.get(name), str) or not claims[name]:
            raise UnsignableDocumentError(f"The claim {name} is missing or not a text.")
    issued, expires = (_seconds(claims, name) for name in ("iat", "exp"))
    if abs(issued - now.timestamp()) > _SKEW_SECONDS:
        raise UnsignableDocumentError("The claim iat is not the present time.")
    if not 0 < expires - issued <= LONGEST_TOKEN_LIFETIME.total_seconds():
        raise UnsignableDocumentError("The token does not end within a day of being made.")
    return cast("dict[str, Any]", strict_json.decode_any(data))  # what is signed is what was understood


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int:  # a bool is an int to Python, but no time
        raise UnsignableDocumentError(f"The claim {name} is missing or not a whole number.")
    return value
