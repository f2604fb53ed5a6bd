"""How much processor time a server has taken: a process and all that it has started, by ``/proc`` (proc(5))."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PARENT: Final = 1
_TIMES: Final = slice(11, 15)
"""utime, stime, and those of children that have ended, counted from the state of the process."""


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of those that it has started, 0 where it is not there."""
    ticks = os.sysconf("SC_CLK_TCK")
    children: dict[int, list[int]] = {}
    times: dict[int, int] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            told = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        number = int(entry.name)
        children.setdefault(int(told[_PARENT]), []).append(number)
        times[number] = sum(map(int, told[_TIMES]))
    total, left = 0, [pid]
    while left:
        number = left.pop()
        total += times.get(number, 0)
        left += children.get(number, [])
    return total / ticks
