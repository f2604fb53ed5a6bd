"""A core for the servers that are measured, and the others for whoever asks them: devices have processors of their own.

On one core each would push the other out of its caches, now more and now less, and that is nothing a server costs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def apart(pids: Iterable[int]) -> Iterator[None]:
    """Keep these processes and what they start on the first core, and this thread off it, for a while.

    A peer belongs there too, or two different things are compared. Where there is but one core, nothing changes.
    """
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        yield
        return
    first = {min(cores)}
    for pid in pids:
        with suppress(FileNotFoundError):  # a process that ended by itself just now
            for thread in _threads(pid):
                with suppress(ProcessLookupError):  # a thread that did
                    os.sched_setaffinity(thread, first)
    os.sched_setaffinity(0, cores - first)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _threads(pid: int) -> list[int]:
    return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
