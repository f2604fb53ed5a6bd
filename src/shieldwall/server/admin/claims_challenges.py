"""What a client is told that has to come back with another token: the header ``WWW-Authenticate`` of a 401.

The libraries of Microsoft's identity platform hand its ``claims`` to their next request for a token, which is then not
answered from what they keep ("claims challenge").
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from math import ceil
from typing import Any, Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.server.access.authorization import PROOF_LIFETIME, StepUpRequiredError, UnauthenticatedError
from shieldwall.server.directory.possession import InvalidProofError, NonceWantedError, UnboundTokenError
from shieldwall.server.directory.possession_keys import ALGORITHMS

FRESH_PROOF: Final = "c1"
"""The authentication context (``acrs``) that stands for a proof of who one is that is not older than ten minutes."""


class RevokedTokenError(UnauthenticatedError):
    """The token was good until it was taken back: with the sign-ins of a person, or a credential of an application."""

    code = "tokenRevoked"
    remedy = "Ask for a new token, with the claims of the header WWW-Authenticate; people sign in again."

    def __init__(self, cause: str, valid_from: datetime) -> None:
        super().__init__(cause)
        self.valid_from = valid_from


def challenge_headers(error: ShieldwallError, issuer: str, *, by_proof: bool) -> dict[str, str]:
    """Write the headers of a refusal. ``by_proof``: the request sent its token as one that is bound to a key."""
    headers = {"WWW-Authenticate": _challenge_of(error, issuer, by_proof=by_proof)}
    if isinstance(error, NonceWantedError):
        headers["DPoP-Nonce"] = error.nonce
    return headers


def _challenge_of(error: ShieldwallError, issuer: str, *, by_proof: bool) -> str:
    """Write the challenge (RFC 6750 section 3, RFC 9449 section 7.1; of a step-up, RFC 9470 section 3 beside)."""
    about_proof = isinstance(error, InvalidProofError | NonceWantedError | UnboundTokenError)
    start = f'Bearer realm="", authorization_uri="{issuer}"'
    if by_proof or about_proof:
        start = f'DPoP realm="", authorization_uri="{issuer}", algs="{" ".join(ALGORITHMS)}"'
    match error:
        case NonceWantedError():
            return f'{start}, error="use_dpop_nonce"'
        case InvalidProofError():
            return f'{start}, error="invalid_dpop_proof"'
        case RevokedTokenError():
            return f'{start}, error="insufficient_claims", claims="{_written(not_before(error.valid_from))}"'
        case StepUpRequiredError():
            age = int(PROOF_LIFETIME.total_seconds())
            return f'{start}, error="insufficient_claims", claims="{_written(fresh_proof())}", max_age="{age}"'
        case _:
            return f'{start}, error="invalid_token"'


def not_before(valid_from: datetime) -> dict[str, Any]:
    """Ask for a token that was made after a moment."""
    return {"access_token": {"nbf": {"essential": True, "value": str(ceil(valid_from.timestamp()))}}}


def fresh_proof() -> dict[str, Any]:
    """Ask for a token of somebody who proved lately who they are."""
    return {"access_token": {"acrs": {"essential": True, "value": FRESH_PROOF}}}


def asks_for_fresh_proof(claims: Any) -> bool:
    """Tell whether a ``claims`` parameter asks for what ``fresh_proof`` says; whatever else it holds is ignored."""
    wanted = claims.get("access_token") if isinstance(claims, dict) else None
    context = wanted.get("acrs") if isinstance(wanted, dict) else None
    if not isinstance(context, dict):
        return False
    values = context.get("values")
    return FRESH_PROOF in {context.get("value") if isinstance(context.get("value"), str) else None} | {
        each for each in (values if isinstance(values, list) else ()) if isinstance(each, str)
    }


def _written(claims: dict[str, Any]) -> str:
    return b64encode(encode(claims)).decode()
