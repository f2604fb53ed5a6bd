"""Telling the server what happened on the device: from the applier's spool, a batch at a time, as it is acknowledged.

Nothing of it is kept here. What the server has not answered for, the applier hands out again; an event that comes twice
is kept once by its id. A server from before this answers 404, and is asked again after a day.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.applier.protocol import Happened
from shieldwall.agent.journal import Journal
from shieldwall.agent.service.enforcer import Enforcer
from shieldwall.agent.service.errors import GatewayUnreachableError, ProblemAnswerError
from shieldwall.agent.service.gateway import Empty, Gateway
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.events import MAX_EVENTS, EventsRequest

PATH: Final = "/device/v1/events"
MOST_BATCHES: Final = 5
"""In one go; what is left follows a minute later."""
UNKNOWN_SECONDS: Final = 86_400.0
"""A server that does not know of events may be upgraded: it is asked again after a day."""
FAILED_SECONDS: Final = 300.0
_NOT_FOUND: Final = 404
_NOT_UNDERSTOOD: Final = frozenset({400, 413})


class Telling(Struct, kw_only=True):
    """Tells; never raises for what can wait."""

    state: AgentState
    gateway: Gateway
    enforcer: Enforcer
    journal: Journal
    silent_until: float = float("-inf")
    most: int = MAX_EVENTS

    def __call__(self, now: float) -> int:
        """Tell what is there to tell; return how many events that was. ``now`` is monotonic."""
        if now < self.silent_until:
            return 0
        told = 0
        try:
            acknowledged: str | None = None
            for _ in range(MOST_BATCHES):
                batch = self.enforcer.events(acknowledged=acknowledged, most=self.most)
                acknowledged = None
                if not batch.batch and not batch.more:
                    break
                if batch.batch and self._is_settled(batch):
                    acknowledged = batch.batch
                    told += len(batch.events)
            if acknowledged is not None:
                self.enforcer.events(acknowledged=acknowledged, most=1)
        except ProblemAnswerError as error:
            is_unknown = error.problem.status == _NOT_FOUND
            self._wait(error, now + (UNKNOWN_SECONDS if is_unknown else error.retry_after_seconds or FAILED_SECONDS))
        except GatewayUnreachableError as error:
            self._wait(error, now + (error.retry_after_seconds or FAILED_SECONDS))
        except ShieldwallError as error:  # an applier from before an upgrade, say
            self._wait(error, now + FAILED_SECONDS)
        if told:
            self.journal.say("eventsTold", count=told)
        return told

    def _is_settled(self, batch: Happened) -> bool:
        """Send a batch, and say whether it is done with.

        One event that the server does not understand must not hold up all others: after a refusal they go one by one,
        and what is refused alone is given up, with a word in the journal.
        """
        sequence = self.state.next_sequence()
        request = EventsRequest(seq=sequence.seq, epoch=sequence.epoch, events=batch.events, lost=batch.lost)
        try:
            self.gateway.ask(PATH, request, Empty)
        except ProblemAnswerError as error:
            if error.problem.status not in _NOT_UNDERSTOOD:
                raise
            if self.most > 1:
                self.most = 1
                return False
            self.journal.trouble("eventNotUnderstood", error)
            return True
        self.most = MAX_EVENTS
        return True

    def _wait(self, error: ShieldwallError, until: float) -> None:
        self.silent_until = until
        self.journal.trouble("eventsNotTold", error)
