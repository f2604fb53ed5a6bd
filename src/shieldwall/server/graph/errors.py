"""Errors of the Graph front door, and the one place where errors meet HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from litestar.exceptions import HTTPException

from shieldwall.contract.errors import ShieldwallError

_STATUS_OF: Final[Mapping[str, int]] = {
    "invalidJson": 400,
    "invalidId": 400,
    "invalidPolicy": 400,
    "invalidMembershipRule": 400,
    "invalidQuery": 400,
    "invalidRequest": 400,
    "unknownGroup": 400,
    "unknownTemplate": 400,
    "unknownSetting": 400,
    "dynamicGroup": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "notFound": 404,
    "methodNotAllowed": 405,
    "conflict": 409,
    "preconditionFailed": 412,
    "bodyTooLarge": 413,
    "unsupportedMediaType": 415,
    "storageUnavailable": 503,
    "signerUnavailable": 503,
}
_GRAPH_CODES: Final[Mapping[int, str]] = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "Forbidden",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    503: "ServiceUnavailable",
}


class InvalidRequestError(ShieldwallError):
    """A request that is well-formed and still cannot be meant."""

    code = "invalidRequest"
    remedy = "Correct the part named and send it again."


class InvalidQueryError(ShieldwallError):
    """A query option that we do not know or cannot follow; never silently ignored."""

    code = "invalidQuery"
    remedy = "Use the query options listed in the API's description."


class UnsupportedMediaTypeError(ShieldwallError):
    """The body is not application/json."""

    code = "unsupportedMediaType"
    remedy = "Send JSON with 'Content-Type: application/json'."


class UnknownPathError(ShieldwallError):
    """There is nothing under this path."""

    code = "notFound"
    remedy = "Check the path against the description of the API."


class MethodNotAllowedError(ShieldwallError):
    """The path exists, for other methods."""

    code = "methodNotAllowed"
    remedy = "Use one of the methods named in the header Allow."


class BodyTooLargeError(ShieldwallError):
    """The body is larger than we read."""

    code = "bodyTooLarge"
    remedy = "Divide what you send."


def error_of_http(error: HTTPException) -> ShieldwallError:
    """Say in our words what the web framework refused."""
    match error.status_code:
        case 404:
            return UnknownPathError("There is no such resource.")
        case 405:
            return MethodNotAllowedError("The resource is not there for this method.")
        case 413:
            return BodyTooLargeError("The body is too large.")
        case 415:
            return UnsupportedMediaTypeError("The body must be plain application/json.")
        case _:
            return InvalidRequestError("The request cannot be read.")


def status_of(error: ShieldwallError) -> int:
    """Choose the HTTP status for an expected error; what the table does not name is a plain 400."""
    return _STATUS_OF.get(error.code, 400)


def error_body(error: ShieldwallError, *, request_id: str, client_request_id: str, now: datetime) -> dict[str, Any]:
    """Write an error in Graph's shape; our stable code stands in ``innerError``."""
    return {
        "error": {
            "code": _GRAPH_CODES.get(status_of(error), "BadRequest"),
            "message": f"{error.cause} {error.advice}",
            "innerError": {
                "code": error.code,
                "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
                "request-id": request_id,
                "client-request-id": client_request_id or request_id,
            },
        }
    }
