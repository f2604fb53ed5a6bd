"""Making a process as slow as on a fraction of a processor: it is let run and held, over and over.

By a process of its own, so that whoever is busy beside it holds nobody longer than is asked for. It ends with whoever
started it, and leaves nobody held.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TURN_SECONDS = 0.02
"""It is let run once in so long."""


@contextmanager
def slowed(pid: int, share: float = 0.2) -> Iterator[None]:
    """Let a process run this share of the time alone."""
    command = [sys.executable, "-m", "tests.support.slowing", str(pid), str(share)]
    holding = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        holding.terminate()
        holding.wait()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def held(pid: int) -> Iterator[None]:
    """Hold a process altogether."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _hold(pid: int, share: float, parent: int) -> None:
    with suppress(ProcessLookupError):  # it ended: there is nobody to be held any more
        while os.getppid() == parent:
            os.kill(pid, signal.SIGSTOP)
            time.sleep((1 - share) * TURN_SECONDS)
            os.kill(pid, signal.SIGCONT)
            time.sleep(share * TURN_SECONDS)


if __name__ == "__main__":
    _hold(int(sys.argv[1]), float(sys.argv[2]), os.getppid())
