"""How often a process of a server was put in the place of another, and why: counted where all of this machine see it.

The supervisor starts the others, and nobody can ask it anything; so it leaves a byte behind for each, in a file for
each cause. A byte is never half written, several supervisors of one directory need not agree, and the size is the
count.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path


class Cause(StrEnum):
    """Why somebody else had to take the place."""

    KILLED = "killed"
    """Somebody else ended it: the kernel for want of memory, say."""
    FAILED_SYNC = "failed_sync"
    """It heard that the disk did not confirm what was written (``storage.engine.failed_syncs``)."""


def count_one(run: Path, cause: Cause) -> None:
    """Count that a process ended of this cause; a disk that does not take it is told of by others."""
    with suppress(OSError), _file(run, cause).open("ab") as file:
        file.write(b".")


def counted(run: Path, cause: Cause) -> int:
    """Return how often it was counted since there is this server."""
    try:
        return _file(run, cause).stat().st_size
    except OSError:
        return 0


def _file(run: Path, cause: Cause) -> Path:
    return run / f"replaced-{cause.value}"
