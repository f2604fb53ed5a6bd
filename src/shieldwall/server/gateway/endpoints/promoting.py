"""``/{tenant}/EnrollmentServer/device/{id}/promote``: a synthetic registration becomes the full one that appeared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.messages import MAX_BODY_BYTES
from shieldwall.contract.registration import PromoteRequest, RegisterAnswer
from shieldwall.server.gateway.calls import Answer, Call, answer_json
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.problems import NoSuchPathError
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.tenancy import check_own_tenant
from shieldwall.server.inventory.claims import Asked
from shieldwall.server.inventory.onboarding import read_certificate_request
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.inventory.promotion import Promotion
from shieldwall.server.manager import turns
from shieldwall.server.manager.sequence import Numbered
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.check_ins.group_commit import GroupCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoting:
    """The request is signed by the synthetic key, also when it is repeated after that key was given up."""

    promotion_for: Callable[[CallingDevice, CertificateIssuer], Promotion]
    signing: Signing
    writer: GroupCommit
    clock: Clock

    def routes(self) -> tuple[Route, ...]:
        """List the one path."""
        return (
            Route(
                method="POST",
                path="/{tenant}/EnrollmentServer/device/{device}/promote",
                access=Access.DEVICE,
                lane=Lane.NEWS,
                body_limit=MAX_BODY_BYTES,
                handler=self.post_promote,
            ),
        )

    async def post_promote(self, call: Call) -> Answer:
        """Promote. A device may speak for itself alone."""
        check_own_tenant(call)
        caller = call.device
        if call.parameters["device"] != caller.id:
            raise NoSuchPathError("There is nothing at this path.")
        request = call.decoded(PromoteRequest)
        asked = Asked(request=request, certified=read_certificate_request(request), digest=call.body_digest)
        answer = await self.signing.certified(
            caller.tenant_id,
            lambda attempted: self.writer.submit(attempted, aims=True),
            lambda connection, issuer: self._promote(connection, issuer, caller, asked),
        )
        return answer_json(answer, status=201)

    def _promote(
        self, connection: Connection, issuer: CertificateIssuer, caller: CallingDevice, asked: Asked[PromoteRequest]
    ) -> RegisterAnswer:
        promotion = self.promotion_for(caller, issuer)
        if (again := promotion.repeated(connection, caller.key, asked)) is not None:
            return again
        number = Numbered(asked.request.epoch, asked.request.seq, asked.digest)
        turns.take(connection, caller, number, self.clock.now())
        return promotion(connection, caller.id, asked)
