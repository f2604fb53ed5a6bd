"""``/{tenant}/EnrollmentServer``: how a device comes, by nonce and registration, and how it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.messages import MAX_BODY_BYTES, MAX_SMALL_BODY_BYTES, OffboardRequest
from shieldwall.contract.registration import NonceAnswer, PendingAnswer, RegisterAnswer, RegisterRequest
from shieldwall.server.directory.acting import Acting
from shieldwall.server.gateway.calls import Answer, Call, answer_json
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.problems import NoSuchPathError, TooManyRequestsError
from shieldwall.server.gateway.rate_limit import SharedBucket
from shieldwall.server.gateway.reading import Reading
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.tenancy import PathTenants, check_own_tenant
from shieldwall.server.inventory.certifying import AtHand
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.onboarding import Onboarding, read_certificate_request
from shieldwall.server.inventory.package_check import PackageRefusedError
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.manager import turns
from shieldwall.server.manager.goodbye import say_goodbye
from shieldwall.server.manager.sequence import Numbered
from shieldwall.server.manager.turns import CallingDevice, DeviceNotActiveError
from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.trust import moments
from shieldwall.trust.device_key import thumbprint
from shieldwall.trust.request_signature import BadSignatureError


class NonceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing needs saying to get a nonce; an empty body does as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolling:
    """The beginning and the end of a device's life."""

    tenants: PathTenants
    sealer: NonceSealer
    onboarding_for: Callable[[TenantId, CertificateIssuer], Onboarding]
    signing: Signing
    new_id: Callable[[], str]
    acting_for: Callable[[CallingDevice], Acting]
    writer: GroupCommit
    clock: Clock
    bucket: SharedBucket
    reading: Reading

    def routes(self) -> tuple[Route, ...]:
        """List the paths, in the order of a device's life."""
        base = "/{tenant}/EnrollmentServer"
        return (
            Route(
                method="POST",
                path=f"{base}/nonce",
                access=Access.ANYONE,
                lane=Lane.ENROLMENT,
                body_limit=1024,
                handler=self.post_nonce,
            ),
            Route(
                method="POST",
                path=f"{base}/device",
                access=Access.NEW_KEY,
                lane=Lane.ENROLMENT,
                body_limit=MAX_BODY_BYTES,  # certificates and their chains come along
                handler=self.post_device,
            ),
            Route(
                method="POST",
                path=f"{base}/device/{{device}}/offboard",
                access=Access.DEVICE,
                lane=Lane.NEWS,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_offboard,
            ),
        )

    async def post_nonce(self, call: Call) -> Answer:
        """Seal a nonce; the server keeps nothing."""
        if not self.bucket.take(call.network):
            raise TooManyRequestsError("Nonces are asked for too often.")
        tenant_id = await self.tenants.of(call)
        if call.body:
            call.decoded(NonceRequest)
        now = self.clock.now()
        nonce = self.sealer.seal(tenant_id, now)
        return answer_json(NonceAnswer(nonce=nonce, server_time=moments.write(now)))

    async def post_device(self, call: Call) -> Answer:
        """Register: the request is signed by the very key that it asks to register."""
        self.reading.of_stranger(call.network, call.body)
        tenant_id = await self.tenants.of(call)
        request = call.decoded(RegisterRequest)
        certified = read_certificate_request(request)
        if thumbprint(certified.public_key) != call.unverified.signature.keyid:
            raise BadSignatureError("The request is signed by another key than it asks to register.")
        call.unverified.verify(certified.public_key)
        digest, newcomer = call.body_digest, DeviceId(self.new_id())

        def onboarded(connection: Connection, issuer: CertificateIssuer) -> RegisterAnswer | PendingAnswer:
            return self.onboarding_for(tenant_id, issuer)(connection, request, certified, digest, newcomer)

        try:
            answer = await self.signing.certified(
                tenant_id, lambda attempted: self.writer.submit(attempted, aims=True), onboarded
            )
        except PackageRefusedError as error:
            code, onboarding = error.code, self.onboarding_for(tenant_id, AtHand())
            await self.writer.submit(lambda connection: onboarding.note_refusal(connection, request, certified, code))
            raise
        if isinstance(answer, PendingAnswer):
            return answer_json(answer, status=202)
        return answer_json(answer, status=201)

    async def post_offboard(self, call: Call) -> Answer:
        """Leave management. A device may speak for itself alone."""
        check_own_tenant(call)
        device, digest = call.device, call.body_digest
        if call.parameters["device"] != device.id:
            raise NoSuchPathError("There is nothing at this path.")
        request = call.decoded(OffboardRequest)
        await self.writer.submit(lambda connection: self._offboard(connection, device, request, digest), aims=True)
        return Answer(status=204)

    def _offboard(
        self, connection: Connection, device: CallingDevice, request: OffboardRequest, digest: Digest
    ) -> None:
        number = Numbered(request.epoch, request.seq, digest)
        try:
            turns.take(connection, device, number, self.clock.now())
        except DeviceNotActiveError:
            if not turns.is_last(connection, device, number):
                raise
            return  # this very request made it inactive, and the answer was lost on its way
        say_goodbye(connection, self.acting_for(device), device, request)
