"""Waiting that can be cut short: by a signal to stop, by ``shieldwall-agent sync``, or by the server's policy sync."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from enum import Enum, auto
from types import FrameType, TracebackType
from typing import Protocol, Self

from msgspec import Struct, field

from shieldwall.agent.host.telling import CHECK_IN


class Wake(Enum):
    """Why a wait ended."""

    TIME = auto()
    SYNC = auto()
    STOP = auto()


class Pause(Protocol):
    """The only moments in which the agent may be interrupted."""

    def sleep(self, seconds: float) -> Wake:
        """Wait so long, or until somebody asks for something."""
        ...

    def during(self, work: Callable[[], Wake]) -> Wake:
        """Do something that may be broken off at any moment."""
        ...


class _Interruption(BaseException):
    """Breaks off a blocking call; passes every ``except Exception`` on its way."""


class SignalPause(Struct):
    """SIGTERM and SIGINT ask to stop, SIGUSR1 asks to check in; outside a wait they are kept for the next one."""

    _asked: set[Wake] = field(default_factory=set)
    _interruptible: bool = False

    def __enter__(self) -> Self:
        """Listen to signals."""
        for number in (signal.SIGTERM, signal.SIGINT, CHECK_IN):
            signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave signals to the system again."""
        for number in (signal.SIGTERM, signal.SIGINT, CHECK_IN):
            signal.signal(number, signal.SIG_DFL)

    def sleep(self, seconds: float) -> Wake:
        """See ``Pause.sleep``."""
        return self.during(lambda: _sleep(seconds))

    def during(self, work: Callable[[], Wake]) -> Wake:
        """See ``Pause.during``."""
        try:
            self._interruptible = True
            wake = work() if not self._asked else None
            self._interruptible = False
            if wake is not None:
                return wake
        except _Interruption:
            pass  # ``_hear`` has noted why
        wake = Wake.STOP if Wake.STOP in self._asked else Wake.SYNC
        self._asked.discard(wake)
        return wake

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._asked.add(Wake.SYNC if number == CHECK_IN else Wake.STOP)
        if self._interruptible:
            self._interruptible = False
            raise _Interruption


def _sleep(seconds: float) -> Wake:
    time.sleep(max(seconds, 0.0))
    return Wake.TIME
