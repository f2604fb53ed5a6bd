"""From a synthetic registration to the full one that has appeared, looked for before each check-in.

1. an answer that was kept is carried out: new key, new numbers, new identity, in this order, and again after a crash
2. a request that was kept goes out once more, as it is: its answer may have been lost
3. else, where this machine holds a registration now: nonce → key → request on disk → send → answer on disk → 1.

A refusal is told and forgotten: the device goes on as what it is, and asks again at a later check-in. Whoever is about
to leave begins none; should one be decided already, the departure goes on under the new name.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from shieldwall.agent.journal import Journal
from shieldwall.agent.service.device_keys import make_key, read_key, write_key
from shieldwall.agent.service.errors import ProblemAnswerError, UnusableAnswerError
from shieldwall.agent.service.existing import ExistingState, Holding, PendingPromotion, UnusableExistingError
from shieldwall.agent.service.gateway import Connect, Empty
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.registering import certificate_request
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.registration import (
    ExistingRegistrationProof,
    NonceAnswer,
    PromoteRequest,
    RegisterAnswer,
)
from shieldwall.trust.device_key import public_key_info

_UNDECIDED: Final = "clockSkew"
"""Says nothing about the promotion: the same request may be sent with another time."""
_UNPROVEN: Final = ExistingRegistrationProof(certificate="", algorithm="ecdsa-p256-sha256", signature="")


class Promote(Struct, frozen=True, kw_only=True):
    """This device becomes what it is in the directory."""

    state: AgentState
    existing: ExistingState
    connect: Connect
    journal: Journal

    def __call__(self) -> bool:
        """Look whether there is something to become; say whether this device is another one now.

        Raises:
            GatewayUnreachableError: Nobody knows whether the promotion came to pass; it goes out again next time.
            ProblemAnswerError: The server is in trouble; likewise.
        """
        if self.finish():
            return True
        identity = self.state.get_identity()
        pending = self.existing.find_promotion()
        if pending is not None and pending.synthetic_id != identity.device_id:
            self.existing.drop_promotion()  # left from a past life
            pending = None
        if pending is None:
            holding = self._appeared(identity)
            pending = None if holding is None else self._begin(identity, holding)
        return pending is not None and self._send(identity, pending)

    def finish(self) -> bool:
        """Carry out a promotion that is decided; say whether there was one."""
        decided = self.existing.find_promotion()
        if decided is None or decided.answer is None:
            return False
        identity = self.state.find_identity()
        if identity is not None and identity.device_id == decided.synthetic_id:
            if (leaving := self.state.find_leaving(identity.device_id)) is not None:
                self.state.put_leaving(replace(leaving, device_id=decided.answer.device_id))
            self.state.wishes.put_attestation()  # the server knows nothing of where the new key lives
            self.state.put_key(read_key(decided.key.encode(), self.state.open_tpm, self.state.vault))
            self.state.put_identity(
                replace(
                    identity,
                    device_id=decided.answer.device_id,
                    certificate=decided.answer.certificate,
                    registration="full",
                    key_since="",
                ),
                epoch=decided.answer.epoch,
            )
        self.existing.drop_promotion()
        return identity is not None

    def _appeared(self, identity: Identity) -> Holding | None:
        if identity.registration == "full" or self.state.find_leaving(identity.device_id) is not None:
            return None  # nothing to become; or about to leave, and then as what it is
        if self.state.find_next_key() is not None:
            return None  # a key change is on its way, and one thing comes after the other
        try:
            return self.existing.find(identity.server.tenant_id)
        except UnusableExistingError as error:
            self.journal.trouble("existingUnusable", error)
            return None

    def _begin(self, identity: Identity, holding: Holding) -> PendingPromotion:
        server = identity.server
        gateway = self.connect(server, self.state.get_key())
        nonce = gateway.ask_unsigned(f"/{server.tenant_id}/EnrollmentServer/nonce", Empty(), NonceAnswer).nonce
        key = make_key(self.state.open_tpm, self.state.vault)
        sequence = self.state.next_sequence()
        request = PromoteRequest(
            seq=sequence.seq,
            epoch=sequence.epoch,
            certificate_request=certificate_request(key, nonce),
            existing=_UNPROVEN,
            instance_id=identity.instance_id,
        )
        proof = holding.proof(request, tenant_id=server.tenant_id, nonce=nonce, spki=public_key_info(key.public_key))
        pending = PendingPromotion(
            synthetic_id=identity.device_id,
            key=write_key(key).decode("ascii"),
            request=replace(request, existing=proof),
        )
        self.existing.put_promotion(pending)
        return pending

    def _send(self, identity: Identity, pending: PendingPromotion) -> bool:
        server = identity.server
        path = f"/{server.tenant_id}/EnrollmentServer/device/{identity.device_id}/promote"
        try:
            answer = self.connect(server, self.state.get_key()).ask(path, pending.request, RegisterAnswer)
        except ProblemAnswerError as refusal:
            status, code = refusal.problem.status, refusal.problem.code
            if status == 429 or status >= 500:
                raise
            if code != _UNDECIDED:
                self.existing.drop_promotion()
                self.journal.trouble("promotionRefused", refusal)
            return False
        if answer is None or answer.tenant_id != server.tenant_id:
            raise UnusableAnswerError("The server's answer to the promotion names no identity in this tenant.")
        self.existing.put_promotion(replace(pending, answer=answer))
        self.journal.say("promoted", device=answer.device_id)
        return self.finish()
