"""Waiting on the line of a message broker, where the server has one: asked for once a day, replaced when it breaks.

A broker that somebody took over can do one thing to a device: wake it. So wakes are counted, and a device that is
woken over and over stops listening to them; its own interval goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct, field

from shieldwall.agent.journal import Journal
from shieldwall.agent.service.errors import GatewayUnreachableError, ProblemAnswerError, UnusableAnswerError
from shieldwall.agent.service.gateway import Gateway
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract.messages import LineAnswer, LineRequest
from shieldwall.trust.nkeys import KeyUse, name_of

ASK_AGAIN_SECONDS: Final = 86_400.0
"""A server without a broker is asked again after a day, so that a fleet does not ask at every check-in."""
OPEN_AGAIN_SECONDS: Final = 300.0
"""After a line broke; twice as long at most, so that a fleet does not come at once."""
SPREAD_SECONDS: Final = 5.0
"""Whoever is woken comes within so long, not at once: many may have been woken with it."""
WAKES_AN_HOUR: Final = 20


class Line(Protocol):
    """A line on which a device hears that it should come."""

    @property
    def is_open(self) -> bool:
        """Whether anything can still be heard on it."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; say whether something was heard. A line that breaks ends the wait."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


OpenLine: TypeAlias = Callable[[LineAnswer, Ed25519PrivateKey], Line]
"""Opens the line that a server offered, with the key that it was asked for. Raises: GatewayUnreachableError."""


class WakeBudget(Struct):
    """How often others may wake this device: so many at once, and as many an hour."""

    most: int = WAKES_AN_HOUR
    left: float = WAKES_AN_HOUR
    counted_at: float = 0.0

    def take(self, now: float) -> bool:
        """Take one; false when there is none. ``now`` is in seconds of a clock that never goes back."""
        self.left = min(self.most, self.left + (now - self.counted_at) * self.most / 3600)
        self.counted_at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class BrokerLine(Struct, kw_only=True):
    """Asks for a line, keeps it, and waits on it."""

    state: AgentState
    gateway: Gateway
    open_line: OpenLine
    journal: Journal
    chance: Callable[[], float]
    monotonic: Callable[[], float] = time.monotonic
    rest: Callable[[float], None] = time.sleep
    budget: WakeBudget = field(default_factory=WakeBudget)
    _line: Line | None = None
    _good_until: float = 0.0
    _again_at: float = 0.0

    def wait(self, seconds: float) -> Wake | None:
        """Wait at most so long; ``None`` where there is no broker to wait on now.

        Raises:
            GatewayUnreachableError: The server could not be asked for a line.
        """
        line = self._open()
        if line is None:
            return None
        if not line.wait(seconds):
            return Wake.TIME
        if not self.budget.take(self.monotonic()):
            self.journal.say("wokenTooOften")
            return Wake.TIME
        self.rest(SPREAD_SECONDS * self.chance())
        return Wake.SYNC

    def close(self) -> None:
        """Hang up; what waits next opens another line."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _open(self) -> Line | None:
        now = self.monotonic()
        if self._line is not None and (not self._line.is_open or now >= self._good_until):
            broke = not self._line.is_open
            self.close()
            if broke:
                self._again_at = self._spread(OPEN_AGAIN_SECONDS)
        if self._line is None and now >= self._again_at:
            self._line = self._opened()
        return self._line

    def _opened(self) -> Line | None:
        key = Ed25519PrivateKey.generate()
        offered = self._asked(name_of(KeyUse.USER, key.public_key()))
        if offered is None:
            self._again_at = self._spread(ASK_AGAIN_SECONDS)
            return None
        try:
            line = self.open_line(offered, key)
        except GatewayUnreachableError as error:
            self.journal.trouble("lineFailed", error)
            self._again_at = self._spread(OPEN_AGAIN_SECONDS)
            return None
        self._good_until = self.monotonic() + offered.seconds * (0.9 - 0.1 * self.chance())
        return line

    def _asked(self, key_name: str) -> LineAnswer | None:
        sequence = self.state.next_sequence()
        request = LineRequest(seq=sequence.seq, epoch=sequence.epoch, key=key_name)
        try:
            return self.gateway.ask("/device/v1/line", request, LineAnswer)
        except (ProblemAnswerError, UnusableAnswerError):
            return None  # an older server, or one that is busy

    def _spread(self, seconds: float) -> float:
        return self.monotonic() + seconds * (1 + self.chance())
