"""Being told at once that somebody wants this device to check in: by a broker, or on a line of the gateway's own."""

from __future__ import annotations

from msgspec import Struct

from shieldwall.agent.service.broker_line import BrokerLine
from shieldwall.agent.service.errors import ProblemAnswerError, UnusableAnswerError
from shieldwall.agent.service.gateway import Gateway
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract.messages import WaitAnswer, WaitRequest


class PolicySync(Struct, frozen=True, kw_only=True):
    """Asks the server to tell at once when somebody wants this device to check in."""

    state: AgentState
    gateway: Gateway
    line: BrokerLine | None = None
    """Where a line to a message broker may be opened."""

    def wait(self, seconds: int) -> Wake | None:
        """Wait at most so long; ``None`` when the server cannot keep this device waiting.

        Raises:
            GatewayUnreachableError: The line broke, or there was none.
        """
        if self.line is not None and (heard := self.line.wait(seconds)) is not None:
            return heard
        sequence = self.state.next_sequence()
        request = WaitRequest(seq=sequence.seq, epoch=sequence.epoch, seconds=seconds)
        try:
            answer = self.gateway.ask("/device/v1/wait", request, WaitAnswer, more_seconds=seconds)
        except (ProblemAnswerError, UnusableAnswerError):
            return None
        return Wake.TIME if answer is None else Wake.SYNC

    def close(self) -> None:
        """Hang up what is kept open between waits."""
        if self.line is not None:
            self.line.close()
