"""Looking at what another user controls, without waiting for that user for ever.

Whoever may mount a FUSE file system (a home, clamd's own directory, memory that is a file there) decides whether a look
at it ever ends, and while he has read the question and does not answer, not even a signal ends the wait. A thread
cannot be ended either, so a look that takes too long is left behind in its own. It is not begun again while it hangs,
and there are never more than a few of them, whatever somebody does.
"""

from __future__ import annotations

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


class _Look(threading.Thread):
    """One look, and what came of it."""

    def __init__(self, what: str, look: Callable[[], Any]) -> None:
        super().__init__(name=what, daemon=True)
        self.is_left_behind = False
        self.found: Any = None
        self.error: BaseException | None = None
        self._look = look

    def run(self) -> None:
        """Look."""
        try:
            self.found = self._look()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            self.error = error


def in_time(what: str, look: Callable[[], T], *, seconds: float = LOOK_SECONDS) -> T:
    """Return what ``look`` returns, or raise what it raises; ``what`` names it to people, and tells it from others.

    ``look`` must do no harm where it goes on long after nobody waits for it any more.

    Raises:
        HungError: It did not end within ``seconds``, or still hangs since somebody looked before.
    """
    left_behind = [each for each in threading.enumerate() if isinstance(each, _Look) and each.is_left_behind]
    if any(each.name == what for each in left_behind):
        raise HungError(f"{what} still does not answer since somebody looked before.")
    if len(left_behind) >= MOST_LEFT_BEHIND:
        raise HungError(f"{what} is not looked at: {len(left_behind)} other things do not answer.")
    thread = _Look(what, look)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        thread.is_left_behind = True
        raise HungError(f"{what} did not answer within {seconds:g} seconds.")
    if thread.error is not None:
        raise thread.error
    found: T = thread.found
    return found
