"""What the applier does without being asked: take back what nobody confirmed, and look for drift where nobody asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.protocol import Answer, Request
from shieldwall.agent.applier.server import Answering
from shieldwall.agent.applier.transaction import Seen
from shieldwall.agent.applier.warden import Warden
from shieldwall.contract.errors import ShieldwallError

REFRESH_SECONDS: Final = 60.0
AGENT_SECONDS: Final = 90.0
"""A running agent asks every minute; so much later than that it is not running."""
WAITING_SECONDS: Final = 1.0
"""So often it is looked whether the time to confirm is over."""


class Chores(Struct, kw_only=True):
    """Knows what is due. Called on the thread that answers, between two answers."""

    warden: Warden
    ask: Answering
    monotonic: Callable[[], float]
    refreshed: float = 0.0
    heard: float = 0.0
    """When an agent asked to look for drift last."""
    own_work: Callable[[], AbstractContextManager[None]] = nullcontext
    """Tells whoever watches for changes that those made meanwhile are ours."""
    is_waiting: bool = True
    """Whether a change may wait to be confirmed; asked of the engine after every change."""
    guarded: float | None = None
    """When our own services were looked after last."""
    _seen: dict[PurePosixPath, str] = field(default_factory=dict)
    _noticed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request, asker: Asker) -> Answer:
        """Answer a request, and note what it means for what is due."""
        try:
            with self.own_work():
                return self.ask(request, asker)
        finally:
            if isinstance(request, protocol.Apply | protocol.Refresh | protocol.Confirm | protocol.Release):
                self.is_waiting = True
            if isinstance(request, protocol.Apply):
                self.guarded = None  # protection may have begun or ended just now
            if isinstance(request, protocol.Apply | protocol.Refresh):
                self.refreshed = self.heard = self.monotonic()

    def notice(self, seen: Seen) -> None:
        """Take note that somebody changed something, and who; it is looked after at once. For any thread."""
        with self._lock:
            self._seen = {**seen, **{path: who for path, who in self._seen.items() if who}}
            self._noticed.set()

    def start(self) -> None:
        """After a start: finish what was interrupted, and enforce what is on the shelf. Raises: ShieldwallError."""
        self.refreshed = self.monotonic()
        self.warden.start()

    def __call__(self) -> float:
        """Do what is due; return after how many seconds to come again.

        Raises:
            ShieldwallError: It did not work; it is tried again when it is due again.
        """
        with self.own_work():
            if self.is_waiting:
                self.warden.tick()
                self.is_waiting = self.warden.unconfirmed() is not None
            now = self.monotonic()
            is_due = now - self.refreshed >= REFRESH_SECONDS and now - self.heard >= AGENT_SECONDS
            if is_due or self._noticed.is_set():
                self.refreshed = now
                self._look()
                self.is_waiting = True
            if self.guarded is None or now - self.guarded >= REFRESH_SECONDS:
                self.guarded = now
                self.warden.guard()
        return WAITING_SECONDS if self.is_waiting else REFRESH_SECONDS / 4

    def _look(self) -> None:
        seen = self._taken()
        try:
            self.warden.refresh(heard=False, seen=seen)
        except ShieldwallError:
            if seen:  # whoever it was is named by the look that works
                self.notice(seen)
            raise

    def _taken(self) -> Seen:
        with self._lock:
            self._noticed.clear()
            seen, self._seen = self._seen, {}
        return seen
