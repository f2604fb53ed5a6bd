"""``renew``, ``keyChange`` and ``resync``: how a device keeps its identity over the years."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import MAX_SMALL_BODY_BYTES
from shieldwall.contract.registration import (
    KeyChangeAnswer,
    KeyChangeRequest,
    RenewAnswer,
    RenewRequest,
    ResyncAnswer,
    ResyncRequest,
)
from shieldwall.server.directory.acting import Acting
from shieldwall.server.gateway.calls import Answer, Call, answer_json
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.pacing import PacedWriter
from shieldwall.server.gateway.problems import NoSuchPathError
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.tenancy import check_own_tenant
from shieldwall.server.inventory import credentials
from shieldwall.server.inventory.certifying import Work
from shieldwall.server.inventory.credentials import RENEWAL_GRACE
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.onboarding import read_certificate_request
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.manager import turns
from shieldwall.server.manager.resync import resync
from shieldwall.server.manager.sequence import Numbered, SequenceConflictError, Turn
from shieldwall.server.manager.turns import CallingDevice, DeviceNotActiveError
from shieldwall.trust import moments
from shieldwall.trust.certificate_request import CertificateRequestFacts
from shieldwall.trust.device_key import thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingIdentity:
    """A registered device renews its certificate, changes its key, or counts anew."""

    signing: Signing
    sealer: NonceSealer
    acting_for: Callable[[CallingDevice], Acting]
    writer: PacedWriter
    clock: Clock

    def routes(self) -> tuple[Route, ...]:
        """List the paths."""
        base = "/{tenant}/EnrollmentServer/device/{device}"
        return (
            Route(
                method="POST",
                path=f"{base}/renew",
                access=Access.DEVICE,
                lane=Lane.NEWS,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_renew,
            ),
            Route(
                method="POST",
                path=f"{base}/keyChange",
                access=Access.DEVICE,
                lane=Lane.NEWS,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_key_change,
            ),
            Route(
                method="POST",
                path="/device/v1/resync",
                access=Access.DEVICE,
                lane=Lane.NEWS,
                body_limit=MAX_SMALL_BODY_BYTES,
                handler=self.post_resync,
            ),
        )

    async def post_renew(self, call: Call) -> Answer:
        """Issue a new certificate for the same key: all that a device with an expired one may ask for."""
        device, digest = _own_path(call), call.body_digest
        request = call.decoded(RenewRequest)
        certificate = await self._certified(
            device, lambda connection, issuer: self._renew(connection, issuer, device, request, digest)
        )
        return answer_json(RenewAnswer(certificate=certificate, server_time=self._time()))

    async def post_key_change(self, call: Call) -> Answer:
        """Take the new key for the old one, which signed the request."""
        device, digest = _own_path(call), call.body_digest
        request = call.decoded(KeyChangeRequest)
        certified, number = read_certificate_request(request), Numbered(request.epoch, request.seq, digest)
        certificate = await self._certified(
            device,
            lambda connection, issuer: self._change_key(connection, issuer, device, number, certified),
            aims=True,
        )
        return answer_json(KeyChangeAnswer(certificate=certificate, server_time=self._time()))

    async def post_resync(self, call: Call) -> Answer:
        """Start a new epoch."""
        device, digest = call.device, call.body_digest
        request = call.decoded(ResyncRequest)
        acting = self.acting_for(device)
        epoch = await self.writer.submit(
            device, lambda connection: resync(connection, acting, device, request, digest, sealer=self.sealer)
        )
        return answer_json(ResyncAnswer(epoch=epoch, server_time=self._time()))

    async def _certified(self, device: CallingDevice, work: Work[str], *, aims: bool = False) -> str:
        return await self.writer.paced(
            device,
            lambda writer: self.signing.certified(
                device.tenant_id, lambda attempted: writer.submit(attempted, aims=aims), work
            ),
        )

    def _renew(
        self,
        connection: Connection,
        issuer: CertificateIssuer,
        device: CallingDevice,
        request: RenewRequest,
        digest: Digest,
    ) -> str:
        number, now, acting = Numbered(request.epoch, request.seq, digest), self.clock.now(), self.acting_for(device)
        try:
            turn = turns.take(connection, device, number, now, grace=RENEWAL_GRACE)
        except SequenceConflictError:
            if not turns.has_expired(connection, device, now):
                raise
            # A disk set back too far for its certificate: nothing but a good one lets it ask to count anew.
        else:
            if turn is Turn.REPEAT and not turns.has_expired(connection, device, now):
                made = credentials.present(connection, acting, issuer, device.id)
                if made is not None:
                    return made  # by this very request; its answer was lost
        return credentials.renew(connection, acting, issuer, device.id)

    def _change_key(
        self,
        connection: Connection,
        issuer: CertificateIssuer,
        device: CallingDevice,
        number: Numbered,
        certified: CertificateRequestFacts,
    ) -> str:
        try:
            turns.take(connection, device, number, self.clock.now())
        except DeviceNotActiveError:
            made = credentials.changed_before(connection, device.id, device.key, thumbprint(certified.public_key))
            if made is None or not turns.is_last(connection, device, number):
                raise
            return made  # this very request changed the key, and the answer was lost on its way
        return credentials.change_key(
            connection, self.acting_for(device), device.id, certified, issuer=issuer, sealer=self.sealer
        )

    def _time(self) -> str:
        return moments.write(self.clock.now())


def _own_path(call: Call) -> CallingDevice:
    """Return the calling device, whose own path this is. Raises: NoSuchPathError."""
    check_own_tenant(call)
    if call.parameters["device"] != call.device.id:
        raise NoSuchPathError("There is nothing at this path.")
    return call.device
