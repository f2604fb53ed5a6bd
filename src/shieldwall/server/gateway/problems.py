"""From errors to HTTP: one table of status codes, one shape of body (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import Problem

STATUS_OF: Final[Mapping[str, int]] = MappingProxyType(
    {
        "badRequest": 400,
        "invalidJson": 400,
        "invalidId": 400,
        "badCertificateRequest": 400,
        "badNonce": 400,
        "badKeyName": 400,
        "attestationMalformed": 400,
        "attestationUnsuitable": 400,
        "attestationMismatch": 400,
        "attestationFailed": 400,
        "endorsementCertificate": 400,
        "existingCertificateInvalid": 400,
        "badSignature": 401,
        "clockSkew": 401,
        "deviceNotActive": 401,
        "certificateExpired": 401,
        "deviceQuarantined": 403,
        "packageNotYetValid": 403,
        "packageExpired": 403,
        "packageRevoked": 403,
        "packageExhausted": 403,
        "platformNotAllowed": 403,
        "badOnboardingProof": 403,
        "attestationRequired": 403,
        "fullJoinNotAllowed": 403,
        "registrationRejected": 403,
        "badExistingProof": 403,
        "existingCertificateUntrusted": 403,
        "existingCertificateExpired": 403,
        "registrationUnknown": 403,
        "registrationDisabled": 403,
        "notFound": 404,
        "methodNotAllowed": 405,
        "requestTimeout": 408,
        "duplicateKey": 409,
        "managedElsewhere": 409,
        "registrationInUse": 409,
        "notSynthetic": 409,
        "seqConflict": 409,
        "noOpenChallenge": 409,
        "contentTooLarge": 413,
        "unsupportedMediaType": 415,
        "misdirected": 421,
        "tooManyRequests": 429,
        "channelsExhausted": 503,
        "overloaded": 503,
        "signerUnavailable": 503,
        "signerBusy": 503,
        "signerLedger": 503,
        "signerLedgerFull": 503,
        "storageUnavailable": 503,
    }
)
"""Status by error code. An expected error that is missing here is a mistake of ours and answered 500."""

CLOSES_CONNECTION: Final = frozenset({400, 408, 413})
"""After these the rest of the request is not read, so the connection cannot be used again."""


class RefusedError(ShieldwallError):
    """The front of the gateway will not take the request."""

    code = "badRequest"
    remedy = "Send the request as the device protocol describes it."
    headers: ClassVar[tuple[tuple[str, str], ...]] = ()


class NoSuchPathError(RefusedError):
    """Nothing lives at this path. It reads like any other missing thing."""

    code = "notFound"
    remedy = "Ask Discover for the paths there are."


class MethodNotAllowedError(RefusedError):
    """The path is there, the method is not."""

    code = "methodNotAllowed"
    remedy = "Use the method the device protocol names for this path."


class RequestTimeoutError(RefusedError):
    """The body did not arrive in time."""

    code = "requestTimeout"
    remedy = "Send the whole request at once."


class ContentTooLargeError(RefusedError):
    """The body is longer than this path takes."""

    code = "contentTooLarge"
    remedy = "Send less at a time."


class UnsupportedMediaTypeError(RefusedError):
    """Only plain, uncompressed JSON is read."""

    code = "unsupportedMediaType"
    remedy = "Send Content-Type: application/json and no Content-Encoding."


class MisdirectedError(RefusedError):
    """The request names another server than this one."""

    code = "misdirected"
    remedy = "Use the server URL of the onboarding package; a proxy in front must keep the Host header."


class TooManyRequestsError(RefusedError):
    """Something is asked too often: by anyone without a signature, or by one device."""

    code = "tooManyRequests"
    remedy = "Wait as long as Retry-After says."


class OverloadedError(RefusedError):
    """There is more to do than this server can do in time, and what was asked can wait."""

    code = "overloaded"
    remedy = "Come back after Retry-After; agents do by themselves. If it lasts, give the server more processors."


class ChannelsExhaustedError(RefusedError):
    """As many devices wait as this gateway lets wait."""

    code = "channelsExhausted"
    remedy = "Check in at the usual interval; wait again after Retry-After."


_encoder: Final = msgspec.json.Encoder()


def status_of(error: ShieldwallError) -> int:
    """Return the HTTP status for an expected error."""
    return STATUS_OF.get(error.code, 500)


def problem_body(error: ShieldwallError, status: int, *, request_id: str, server_time: str) -> bytes:
    """Describe an expected error."""
    return _encoder.encode(
        Problem(
            type=f"shieldwall:{error.code}",
            title=HTTPStatus(status).phrase,
            status=status,
            code=error.code,
            detail=error.cause,
            remedy=error.advice,
            request_id=request_id,
            server_time=server_time,
        )
    )


def internal_error_body(*, request_id: str, server_time: str) -> bytes:
    """Say that something broke on our side, and nothing about what."""
    return _encoder.encode(
        Problem(
            type="shieldwall:internalError",
            title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
            status=500,
            code="internalError",
            detail="The server met a condition it did not expect.",
            remedy="Give the request id to the administrator of the server; its log has the details.",
            request_id=request_id,
            server_time=server_time,
        )
    )
