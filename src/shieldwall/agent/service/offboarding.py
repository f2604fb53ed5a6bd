"""Offboarding, in its order: settings back to their state from before → tell the server → forget the identity.

What was restored stays restored when the server cannot be told or does not listen; the identity is then kept, so that
offboarding can be repeated. Whoever says "without the server" leaves without a word to it: a server that is gone, that
removed the device, or that knows a clone of it by the same name has no say in this.
"""

from __future__ import annotations

from dataclasses import dataclass

from shieldwall.agent.service.enforcement import Enforcement
from shieldwall.agent.service.errors import OffboardRefusedError, ProblemAnswerError
from shieldwall.agent.service.gateway import Empty, Gateway
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.messages import OffboardRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Offboard:
    """Take this device out of management."""

    identity: Identity
    state: AgentState
    gateway: Gateway
    enforcement: Enforcement

    def __call__(self, *, reason: str = "", without_server: bool = False) -> None:
        """Offboard; safe to call again after any failure.

        Raises:
            GatewayUnreachableError: The server could not be told.
            OffboardRefusedError: The server answered, and does not take this device's word.
        """
        self.enforcement.release()
        if not without_server:
            self._tell(reason)
        self.state.forget()

    def _tell(self, reason: str) -> None:
        server = self.identity.server
        sequence = self.state.next_sequence()
        request = OffboardRequest(seq=sequence.seq, epoch=sequence.epoch, reason=reason)
        path = f"/{server.tenant_id}/EnrollmentServer/device/{self.identity.device_id}/offboard"
        try:
            self.gateway.ask(path, request, Empty)
        except ProblemAnswerError as refusal:
            raise OffboardRefusedError(refusal) from refusal
