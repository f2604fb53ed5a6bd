"""With which words a process was started: it may have put them where reading them waits for its own answer."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shieldwall.agent.host.in_time import in_time

_LOOK_SECONDS: Final = 5.0
_LONGEST: Final = 65_536
"""A process may call an endless lot of memory its words."""


def arguments(pid: int) -> tuple[str, ...]:
    """Return the words, as the process shows them: they are memory of its own, which may be a file of its own.

    Raises:
        OSError: There is no such process.
        HungError: It does not let them be read.
    """
    found = in_time(f"The command line of process {pid}", lambda: _read(pid), seconds=_LOOK_SECONDS)
    return tuple(found.decode(errors="surrogateescape").split("\0"))


def _read(pid: int) -> bytes:
    with (Path("/proc") / str(pid) / "cmdline").open("rb") as file:
        return file.read(_LONGEST)
