"""``attest``: the TPM of a device answers a challenge, which came with its registration or was asked for since."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import MAX_SMALL_BODY_BYTES
from shieldwall.contract.registration import (
    AttestationChallenge,
    AttestRequest,
    ChallengeRequest,
    PendingAnswer,
    RegisterAnswer,
)
from shieldwall.server.directory.acting import Acting
from shieldwall.server.gateway.calls import Answer, Call, answer_json
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.problems import NoSuchPathError
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.tenancy import check_own_tenant
from shieldwall.server.inventory.attestation import ask_anew, asked_before
from shieldwall.server.inventory.attested import attested
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.manager import turns
from shieldwall.server.manager.sequence import Numbered, Turn
from shieldwall.server.manager.turns import CallingDevice, DeviceNotActiveError
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.device_records import SPEAKING, DeviceState
from shieldwall.server.storage.devices import devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Attesting:
    """A device that waits, or has changed its key, proves that its key is in a TPM.

    The answer carries no sequence number: a challenge is open once.
    """

    signing: Signing
    acting_for: Callable[[CallingDevice], Acting]
    writer: GroupCommit
    clock: Clock
    make_random: Callable[[int], bytes] = secrets.token_bytes

    def routes(self) -> tuple[Route, ...]:
        """List the paths."""
        return (
            Route(
                method="POST",
                path="/{tenant}/EnrollmentServer/device/{device}/challenge",
                access=Access.DEVICE,
                lane=Lane.ENROLMENT,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_challenge,
            ),
            Route(
                method="POST",
                path="/{tenant}/EnrollmentServer/device/{device}/attest",
                access=Access.DEVICE,
                lane=Lane.ENROLMENT,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_attest,
            ),
        )

    async def post_challenge(self, call: Call) -> Answer:
        """Challenge the TPM that a device shows, where it is in already."""
        caller, digest = _own_path(call), call.body_digest
        request = call.decoded(ChallengeRequest)
        return answer_json(
            await self.writer.submit(lambda connection: self._challenged(connection, caller, request, digest))
        )

    async def post_attest(self, call: Call) -> Answer:
        """Check the answer; 201 with the identity, or 202 where an administrator has to agree as well."""
        caller = _own_path(call)
        request = call.decoded(AttestRequest)
        answer = await self.signing.certified(
            caller.tenant_id,
            lambda attempted: self.writer.submit(attempted, aims=True),
            lambda connection, issuer: self._attested(connection, issuer, caller, request),
        )
        return answer_json(answer, status=202 if isinstance(answer, PendingAnswer) else 201)

    def _challenged(
        self, connection: Connection, caller: CallingDevice, request: ChallengeRequest, digest: Digest
    ) -> AttestationChallenge:
        now = self.clock.now()
        turn = turns.take(connection, caller, Numbered(request.epoch, request.seq, digest), now)
        if turn is Turn.REPEAT and (before := asked_before(connection, caller.id, now)) is not None:
            return before  # by this very request; its answer was lost on its way
        return ask_anew(connection, devices.get(connection, caller.id), request.attestation, now, self.make_random)

    def _attested(
        self, connection: Connection, issuer: CertificateIssuer, caller: CallingDevice, request: AttestRequest
    ) -> RegisterAnswer | PendingAnswer:
        device = devices.find(connection, caller.id)
        if (
            device is None
            or device.key_thumbprint != caller.key
            or device.state not in SPEAKING | {DeviceState.PENDING}
        ):
            raise DeviceNotActiveError(f"The device {caller.id} may not speak, or not with this key.")
        return attested(connection, self.acting_for(caller), issuer, device, request)


def _own_path(call: Call) -> CallingDevice:
    """Return the calling device, whose own path this is. Raises: NoSuchPathError."""
    check_own_tenant(call)
    if call.parameters["device"] != call.device.id:
        raise NoSuchPathError("There is nothing at this path.")
    return call.device
