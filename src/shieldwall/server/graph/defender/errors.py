"""Errors as the API of Defender for Endpoint writes them: a code, a message, and the request they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.graph.errors import status_of

PREFIX: Final = "/api/"
_CODES: Final[Mapping[int, str]] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    500: "InternalServerError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
}


def is_defender_path(path: str) -> bool:
    """Tell whether a path belongs to this API, whether or not anything is there."""
    return path.startswith(PREFIX)


def defender_error(error: ShieldwallError, *, request_id: str) -> dict[str, Any]:
    """Write an error; ``target`` names the request in the server's log, our stable code stands in ``innerError``."""
    return {
        "error": {
            "code": _CODES.get(status_of(error), "BadRequest"),
            "message": f"{error.cause} {error.advice}",
            "target": f"|{request_id}.",
            "innerError": {"code": error.code},
        }
    }
