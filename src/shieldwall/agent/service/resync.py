"""Counting anew after the server refused a number: this disk was set back, or there is a copy of it.

Done once for a check-in and no more. Should the numbers be refused again, two machines share one identity, and the
device waits like after any failure.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.service.errors import UnusableAnswerError
from shieldwall.agent.service.gateway import Empty, Gateway
from shieldwall.agent.service.instance import Installation
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.registration import NonceAnswer, ResyncAnswer, ResyncRequest

REASON: Final = "seqConflict"


class Resync(Struct, frozen=True, kw_only=True):
    """Ask the server for a new epoch."""

    identity: Identity
    state: AgentState
    gateway: Gateway
    installation: Installation

    def __call__(self) -> int:
        """Count anew from now on; returns the epoch.

        Raises:
            GatewayUnreachableError: No answer; nothing changed here.
            ProblemAnswerError: The server refused.
        """
        tenant_id = self.identity.server.tenant_id
        nonce = self.gateway.ask_unsigned(f"/{tenant_id}/EnrollmentServer/nonce", Empty(), NonceAnswer).nonce
        request = ResyncRequest(
            nonce=nonce,
            instance_id=self.installation.id(),
            boot_id=self.installation.machine.boot_id(),
            hardware=self.installation.hardware(),
            reason=REASON,
        )
        answer = self.gateway.ask("/device/v1/resync", request, ResyncAnswer)
        if answer is None:
            raise UnusableAnswerError("The server named no epoch to go on in.")
        self.state.restart_sequence(answer.epoch)
        return answer.epoch
