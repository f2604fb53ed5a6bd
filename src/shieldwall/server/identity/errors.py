"""Refusals of the identity platform, as OAuth bodies (RFC 6749 section 5.2) with Microsoft's numbers beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.server.access.authorization import UnauthenticatedError
from shieldwall.server.access.throttling import TooManyRequestsError
from shieldwall.server.admin.callers import issuer_of
from shieldwall.server.admin.claims_challenges import challenge_headers
from shieldwall.server.admin.possession_of_requests import by_proof
from shieldwall.server.admin.tenant_services import services_here
from shieldwall.server.directory.app_credentials import InvalidClientError
from shieldwall.server.directory.possession import InvalidProofError, NonceWantedError
from shieldwall.server.directory.resource_names import InvalidScopeError
from shieldwall.server.listening.admin_requests import allowed_methods, record_of
from shieldwall.server.signer.errors import SignerBusyError, SignerUnavailableError
from shieldwall.server.storage.engine.database import StorageUnavailableError

IdentityRequest: TypeAlias = Request[Any, Any, State]
JSON: Final = "application/json"
NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
RETRY_SECONDS: Final = 30


class TokenRequestError(ShieldwallError):
    """The identity platform refuses; ``error`` is the OAuth code, ``number`` what Microsoft's documentation lists."""

    code = "tokenRefused"
    remedy = "Check client id, secret or certificate, scope and grant type."

    def __init__(
        self,
        error: str,
        cause: str,
        *,
        number: int,
        status: int = 400,
        retry_after: int | None = None,
        more: Mapping[str, str] | None = None,
        nonce: str = "",
    ) -> None:
        super().__init__(cause)
        self.error = error
        self.number = number
        self.status = status
        self.retry_after = retry_after
        self.more = more or {}
        """Further members of the body, such as ``suberror`` and ``claims``."""
        self.nonce = nonce
        """What the next proof of possession has to hold, where one is wanted."""


def invalid_request(cause: str, number: int = 900144) -> TokenRequestError:
    """Say that the request itself cannot be read."""
    return TokenRequestError("invalid_request", cause, number=number)


def invalid_grant(cause: str, number: int = 70000) -> TokenRequestError:
    """Say that a code or a refresh token is not good."""
    return TokenRequestError("invalid_grant", cause, number=number)


def invalid_client() -> TokenRequestError:
    """Say that the client is not who it says; which part is wrong is not said."""
    cause = "The client id, or its secret or certificate, is not right or has ended."
    return TokenRequestError("invalid_client", cause, number=7000215, status=401)


def unknown_tenant(tenant: str) -> TokenRequestError:
    """Say that there is no such tenant."""
    return TokenRequestError("invalid_tenant", f"Tenant {tenant[:64]!r} was not found.", number=90002)


def error_of_proof(error: InvalidProofError | NonceWantedError, *, status: int) -> TokenRequestError:
    """Say what is wrong with a proof of possession (RFC 9449 sections 5 and 8)."""
    if isinstance(error, NonceWantedError):
        return TokenRequestError("use_dpop_nonce", error.cause, number=50013, status=status, nonce=error.nonce)
    return TokenRequestError("invalid_dpop_proof", error.cause, number=50013, status=status)


def refused(error: ShieldwallError) -> TokenRequestError | None:
    """Put an expected error in OAuth's words; ``None`` where it has none."""
    match error:
        case TokenRequestError():
            return error
        case InvalidClientError():
            return invalid_client()
        case InvalidScopeError():
            return TokenRequestError("invalid_scope", error.cause, number=70011)
        case TooManyRequestsError():
            return TokenRequestError(
                "temporarily_unavailable", error.cause, number=90055, status=429, retry_after=error.retry_after
            )
        case SignerUnavailableError() | SignerBusyError() | StorageUnavailableError():
            cause = "The server cannot issue tokens just now."
            return TokenRequestError(
                "temporarily_unavailable", cause, number=90033, status=503, retry_after=RETRY_SECONDS
            )
        case _:
            return None


def answer_error(request: IdentityRequest, error: Exception) -> Response[bytes]:
    """Write any error of the identity platform, expected or not."""
    services = services_here(request.scope)
    found, headers = _found(error), dict(NO_STORE)
    if isinstance(error, HTTPException):
        headers |= allowed_methods(error)
    if isinstance(error, UnauthenticatedError):
        issuer = issuer_of(services).issuer
        headers |= challenge_headers(error, issuer, by_proof=by_proof(request))
    elif found.status == 401 and "authorization" in request.headers:
        headers["WWW-Authenticate"] = "Basic"
    if found.nonce:
        headers["DPoP-Nonce"] = found.nonce
    if found.retry_after is not None:
        headers["Retry-After"] = str(found.retry_after)
    record = record_of(request.scope)
    record.error = found.error
    if found.status == 500:
        structlog.get_logger().error("request_failed", request_id=record.request_id, exc_info=error)
    body = {
        "error": found.error,
        "error_description": f"AADSTS{found.number}: {found.cause}",
        "error_codes": [found.number],
        "timestamp": f"{services.clock.now():%Y-%m-%d %H:%M:%SZ}",
        "trace_id": record.request_id,
        "correlation_id": record.client_request_id,
        **found.more,
    }
    return Response(encode(body), status_code=found.status, media_type=JSON, headers=headers)


def _found(error: Exception) -> TokenRequestError:
    match error:
        case InvalidProofError() | NonceWantedError():
            return error_of_proof(error, status=401)
        case UnauthenticatedError():
            return TokenRequestError("invalid_token", error.cause, number=50013, status=401)
        case ShieldwallError() if (found := refused(error)) is not None:
            return found
        case HTTPException() if error.status_code < 500:
            cause = {404: "There is nothing here.", 405: "The method is not possible here."}
            text = cause.get(error.status_code, "The request cannot be read.")
            return TokenRequestError("invalid_request", text, number=900144, status=error.status_code)
        case _:
            return TokenRequestError(
                "server_error", "Something went wrong inside the server.", number=90033, status=500
            )
