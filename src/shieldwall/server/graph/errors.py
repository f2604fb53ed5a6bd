"""Errors of the Graph front door, and the one place where errors meet HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from litestar.exceptions import HTTPException

from shieldwall.catalog.findings import Finding, InvalidPolicyError
from shieldwall.contract.errors import ShieldwallError
from shieldwall.policy.membership import InvalidRuleError

STATUS_OF: Final[Mapping[str, int]] = {
    "builtInRole": 400,
    "alreadyMember": 400,
    "deviceNotManaged": 400,
    "deviceRetired": 400,
    "dynamicGroup": 400,
    "invalidApp": 400,
    "invalidAssignment": 400,
    "invalidBatch": 400,
    "invalidChangeSet": 400,
    "invalidCursor": 400,
    "invalidDeltaToken": 400,
    "invalidDevice": 400,
    "endorsementAuthority": 400,
    "invalidEndorsement": 400,
    "invalidFilter": 400,
    "invalidGroup": 400,
    "historyMissing": 404,
    "invalidId": 400,
    "invalidIdentityProvider": 400,
    "invalidJson": 400,
    "invalidMachineQuery": 400,
    "invalidMembershipRule": 400,
    "invalidPackage": 400,
    "invalidPerson": 400,
    "invalidPolicy": 400,
    "invalidProtection": 400,
    "invalidQuery": 400,
    "invalidRequest": 400,
    "invalidRegistration": 400,
    "invalidReusableSetting": 400,
    "invalidEventKind": 400,
    "invalidReceiver": 400,
    "invalidSubscription": 400,
    "invalidWebhook": 400,
    "validationFailed": 400,
    "invalidRole": 400,
    "invalidScope": 400,
    "existingCertificateInvalid": 400,
    "directoryAuthorityInvalid": 400,
    "nothingToReplace": 400,
    "policyTooLarge": 400,
    "receiverRefused": 400,
    "receiverUnreachable": 400,
    "scriptPlatform": 400,
    "tooManyAssigned": 400,
    "unknownFilter": 400,
    "unknownGroup": 400,
    "unknownPermission": 400,
    "unknownScopeTag": 400,
    "invalidProof": 401,
    "proofNonceWanted": 401,
    "wrongTokenScheme": 401,
    "stepUpRequired": 401,
    "tokenRevoked": 401,
    "unauthenticated": 401,
    "escalation": 403,
    "beyondMaker": 403,
    "forbidden": 403,
    "outOfScope": 403,
    "scopeTagRefused": 403,
    "outranked": 403,
    "notFound": 404,
    "methodNotAllowed": 405,
    "alreadyExists": 409,
    "noAdministratorLeft": 409,
    "cannotMerge": 409,
    "lastAdministrator": 409,
    "lastPasskey": 409,
    "notPending": 409,
    "sealedSecret": 409,
    "stillReferenced": 409,
    "tooManyReceivers": 409,
    "tooLate": 409,
    "wrongDeviceState": 409,
    "resyncRequired": 410,
    "preconditionFailed": 412,
    "contentTooLarge": 413,
    "unsupportedMediaType": 415,
    "failedDependency": 424,
    "preconditionRequired": 428,
    "tooManyRequests": 429,
    "notSupported": 501,
    "signerBusy": 503,
    "signerLedger": 503,
    "signerLedgerFull": 503,
    "signerUnavailable": 503,
    "storageUnavailable": 503,
}
"""Status by error code. An expected error that is missing here is a mistake of ours and answered 500."""

_GRAPH_CODES: Final[Mapping[int, str]] = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "Forbidden",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "syncStateNotFound",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    424: "FailedDependency",
    428: "PreconditionRequired",
    429: "TooManyRequests",
    500: "InternalServerError",
    501: "NotImplemented",
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


class NotSupportedError(ShieldwallError):
    """Microsoft's API has this, and there is no means for it here."""

    code = "notSupported"
    remedy = "Use the product that does this; the documentation says what this server does instead."


class ContentTooLargeError(ShieldwallError):
    """The body is larger than we read."""

    code = "contentTooLarge"
    remedy = "Send less at a time."


class FailedError(ShieldwallError):
    """Something that must not happen; what it was stands in the log alone."""

    code = "failed"
    remedy = "Look for the request id in the server's log."


def error_of_http(error: HTTPException) -> ShieldwallError:
    """Say in our words what the web framework refused."""
    match error.status_code:
        case 404:
            return UnknownPathError("There is no such resource.")
        case 405:
            return MethodNotAllowedError("The resource is not there for this method.")
        case 413:
            return ContentTooLargeError("The body is too large.")
        case status if status < 500:
            return InvalidRequestError("The request cannot be read.")
        case _:
            return FailedError("Something went wrong inside the server.")


def status_of(error: ShieldwallError) -> int:
    """Choose the HTTP status for an expected error."""
    return STATUS_OF.get(error.code, 500)


def error_body(error: ShieldwallError, *, request_id: str, client_request_id: str, now: datetime) -> dict[str, Any]:
    """Write an error in Graph's shape; our stable code stands in ``innerError``, single findings in ``details``."""
    body: dict[str, Any] = {
        "code": _GRAPH_CODES[status_of(error)],
        "message": f"{error.cause} {error.advice}",
        "innerError": {
            "code": error.code,
            "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": client_request_id,
        },
    }
    if isinstance(error, InvalidRuleError):
        body["innerError"]["position"] = error.position
    if isinstance(error, InvalidPolicyError):
        body["details"] = [_detail(finding) for finding in error.findings]
    return {"error": body}


def _detail(finding: Finding) -> dict[str, str]:
    allowed = f" Allowed: {finding.allowed}" if finding.allowed else ""
    return {"code": finding.code, "target": finding.path, "message": finding.message + allowed}
