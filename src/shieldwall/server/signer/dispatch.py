"""From a request on the wire to the signer's verb, and from its result or refusal to an answer."""

from __future__ import annotations

from typing import Any, assert_never

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.signer import wire
from shieldwall.server.signer.errors import BadFrameError
from shieldwall.server.signer.ports import Signer, Signers
from shieldwall.trust import strict_base64


def answer(signers: Signers, frame: bytes) -> wire.Answer:
    """Do what a frame asks for, with the keys of the tenant it names. Raises: ShieldwallError."""
    question = strict_json.decode(frame, wire.Question)
    return wire.Granted(result=perform(signers.for_tenant(question.tenant_id), question.request))


def refusal(error: ShieldwallError) -> wire.Refused:
    """Say why not."""
    return wire.Refused(code=error.code, cause=error.cause, remedy=error.advice)


def perform(signer: Signer, request: wire.Request) -> Any:  # noqa: C901, PLR0911 - one line of the table for each verb
    """Call the verb a request names."""
    match request:
        case wire.SignPolicy():
            return signer.sign_policy(_bytes(request.document))
        case wire.SignManifest():
            return signer.sign_manifest(
                tenant_id=request.tenant_id,
                device_id=request.device_id,
                device_key=request.device_key,
                items=request.items,
                conflict_rules=request.conflict_rules,
                protection=request.protection,
                offboard=request.offboard,
                enrollment=request.enrollment,
            )
        case wire.SignTime():
            return signer.sign_time(request.nonce)
        case wire.IssueCertificate():
            return signer.issue_certificate(
                spki=_bytes(request.spki), tenant_id=request.tenant_id, device_id=request.device_id
            )
        case wire.SealPackage():
            return signer.seal_package(request.package)
        case wire.SealOffboarding():
            return signer.seal_offboarding(request.package)
        case wire.SignToken():
            return signer.sign_token(request.claims)
        case wire.RotateTokenKey():
            return signer.rotate_token_key(at_once=request.at_once, only_if_due=request.only_if_due) or ""
        case wire.GetTrustRoot():
            return signer.trust_root()
        case wire.GetTokenKeys():
            return signer.jwks()
        case _:
            assert_never(request)


def _bytes(text: str) -> bytes:
    try:
        return strict_base64.decode(text)
    except ValueError as error:
        raise BadFrameError(f"A member of the request cannot be read: {error}") from None
