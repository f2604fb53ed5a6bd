"""Looking at what another user controls, without waiting for that user for ever.

Whoever may mount a FUSE file system (a home, clamd's own directory, memory that is a file there) decides whether a look
at it ever ends, and while he has read the question and does not answer, not even a signal ends the wait. A thread
cannot be ended either, so a look that takes too long is left behind in its own. It is not begun again while it hangs,
and there are never more than a few of them, whatever somebody does.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from shieldwall.agent.host.errors import HostError

T = TypeVar("T")

LOOK_SECONDS: Final = 25.0
"""Longer than the look at opens may hold anybody: a gate that hangs is ended before, and clamonacc takes twenty."""
MOST_LEFT_BEHIND: Final = 32
"""More than so many looks that hang are not begun: each is a thread, and somebody is making them hang."""


class HungError(HostError):
    """Something did not answer in time: a file system that another user serves, or one whose server is gone."""

    code = "hostHung"
    remedy = "Unmount the file system on which it lies (findmnt --target names it); it is looked at again every minute."


class _Looker(threading.Thread):
    """Looks for whoever waits, one look after the other, until one is left behind: with that it ends.

    It is kept between looks, for a thread costs several times what most looks do.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.is_left_behind = False
        self._look: Callable[[], Any] | None = None
        self._found: Any = None
        self._error: BaseException | None = None
        self._begin, self._ended = _held(), _held()
        self._parting = threading.Lock()

    def begin(self, what: str, look: Callable[[], Any]) -> None:
        """Begin a look, known by ``what``."""
        self.name, self._look = what, look
        self._begin.release()

    def run(self) -> None:
        """Look whenever somebody asks."""
        while True:
            self._begin.acquire()
            assert self._look is not None
            try:
                self._found = self._look()
            except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
                self._error = error
            with self._parting:
                if self.is_left_behind:
                    return
                self._ended.release()

    def is_left_after(self, seconds: float) -> bool:
        """Wait for the look to end; say whether it was left behind instead."""
        if self._ended.acquire(timeout=seconds):
            return False
        with self._parting:
            self.is_left_behind = not self._ended.acquire(blocking=False)
            return self.is_left_behind

    def take(self) -> tuple[Any, BaseException | None]:
        """Hand over what was found or went wrong, and keep nothing of it."""
        taken = self._found, self._error
        self._look = self._found = self._error = None
        return taken


def _held() -> threading.Lock:
    """Make a lock for which one thread waits, and which another one opens."""
    lock = threading.Lock()
    lock.acquire()
    return lock


_idle: Final[list[_Looker]] = []
"""Those that nobody waits for: as many as have ever looked at once."""


def in_time(what: str, look: Callable[[], T], *, seconds: float = LOOK_SECONDS) -> T:
    """Return what ``look`` returns, or raise what it raises; ``what`` names it to people, and tells it from others.

    ``look`` must do no harm where it goes on long after nobody waits for it any more.

    Raises:
        HungError: It did not end within ``seconds``, or still hangs since somebody looked before.
        HostError: There is no room for a thread to look.
    """
    left_behind = [each for each in threading.enumerate() if isinstance(each, _Looker) and each.is_left_behind]
    if any(each.name == what for each in left_behind):
        raise HungError(f"{what} still does not answer since somebody looked before.")
    if len(left_behind) >= MOST_LEFT_BEHIND:
        raise HungError(f"{what} is not looked at: {len(left_behind)} other things do not answer.")
    looker = _looker()
    looker.begin(what, look)
    if looker.is_left_after(seconds):
        raise HungError(f"{what} did not answer within {seconds:g} seconds.")
    found, error = looker.take()
    _idle.append(looker)
    if error is not None:
        raise error
    taken: T = found
    return taken


def _looker() -> _Looker:
    with contextlib.suppress(IndexError):
        while True:
            looker = _idle.pop()
            if looker.is_alive():  # none is in the child of a fork, whichever thread forked
                return looker
    looker = _Looker()
    try:
        looker.start()
    except RuntimeError as error:  # as many processes and threads as the system, or its memory, has room for
        raise HostError(f"Nothing can be looked at: {error}.") from error
    return looker
