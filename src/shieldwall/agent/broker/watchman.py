"""A process beside the gate that ends it when it no longer answers.

A gate that hangs holds everybody who opens a file. Threads of its own cannot be relied on then, and whoever would look
after it from outside opens files too. So this one opens nothing: it waits for signs of life on a pipe. Once the gate is
gone the kernel lets everybody go on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Final

STUCK_SECONDS: Final = 20.0


class Watchman:
    """Started before the gate holds anything that must end with it: lock and fanotify group."""

    def __init__(self) -> None:
        """Fork."""
        reader, self._writer = os.pipe()
        watched = os.pidfd_open(os.getpid())
        if os.fork() == 0:
            os.close(self._writer)
            _watch(reader, watched)
        os.close(reader)
        os.close(watched)
        os.set_blocking(self._writer, False)

    def sign(self) -> None:
        """Give a sign of life; costs a write."""
        with contextlib.suppress(OSError):
            os.write(self._writer, b".")


def _watch(reader: int, watched: int) -> None:
    """Wait for signs; the end of the pipe is the end of the gate."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # they are meant for the gate, whose end is ours
        for descriptor in range(3):
            with contextlib.suppress(OSError):
                os.close(descriptor)  # whoever waits for the end of our output must not wait for us
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        while poll.poll(STUCK_SECONDS * 1000):
            if not os.read(reader, 4096):
                return
        signal.pidfd_send_signal(watched, signal.SIGKILL)
    finally:
        os._exit(0)
