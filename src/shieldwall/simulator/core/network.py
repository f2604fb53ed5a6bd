"""The way between a device and the server, on which requests and answers are lost, repeated and late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult

from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.transport import HttpAnswer
from shieldwall.contract.ids import DeviceId
from shieldwall.simulator.chance import Chance
from shieldwall.simulator.core.faults import Faults
from shieldwall.simulator.core.history import History
from shieldwall.simulator.core.server import Reply
from shieldwall.simulator.core.virtual_time import Agenda
from shieldwall.simulator.core.watch import Caller, Watch

_LATEST_SECONDS: Final = 240.0
"""A request that is later than its signature is good for has no chance at all; this is within that time."""


@dataclass(slots=True)
class FaultyNetwork:
    """Implements the agent's ``Transport`` for one machine."""

    name: str
    watch: Watch
    agenda: Agenda
    chance: Chance
    history: History
    faults: Faults
    caller: Caller
    away: bool = False

    def post(
        self, url: SplitResult, path: str, *, headers: Mapping[str, str], body: bytes, timeout_seconds: float
    ) -> HttpAnswer:
        """See ``Transport.post``."""
        del url, timeout_seconds
        if self.away:
            raise GatewayUnreachableError("The network is away.")
        drawn = self.chance.random()
        for fault in ("lost_request", "lost_answer", "repeated", "late"):
            often = getattr(self.faults, fault)
            if drawn < often:
                break
            drawn -= often
        else:
            fault = ""
        if fault:
            self.history.add(fault, self.name, path.rpartition("/")[2])
        if fault == "lost_request":
            raise GatewayUnreachableError("The request was lost.")
        if fault == "late":
            caller = self.caller()

            def arrive() -> None:
                self._arrive(caller, path, headers, body, "cameLate")

            self.agenda.after(self.chance.uniform(1.0, _LATEST_SECONDS), arrive)
            raise GatewayUnreachableError("Nobody answered in time.")
        reply = self._arrive(self.caller(), path, headers, body, "asked")
        if fault == "repeated":
            reply = self._arrive(self.caller(), path, headers, body, "asked")
        if fault == "lost_answer":
            raise GatewayUnreachableError("The answer was lost.")
        return HttpAnswer(
            status=reply.status,
            content_type=reply.content_type,
            body=reply.body,
            retry_after_seconds=reply.retry_after,
        )

    def _arrive(self, caller: DeviceId | None, path: str, headers: Mapping[str, str], body: bytes, how: str) -> Reply:
        reply = self.watch.answer(caller, path, headers, body, client="192.0.2.1:1024")
        self.history.add(how, self.name, path.rpartition("/")[2], reply.status)
        return reply
