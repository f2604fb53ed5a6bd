"""What has to be done again and again for a server to be safe, and whether it was: counted where its processes see it.

A backup is taken by a program that ends, and the history of fleets is kept by a process that may be started anew; so
both leave behind in ``run/`` a byte for each failure, and for each success an empty file whose time is the last one's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path


class Upkeep(StrEnum):
    """What has to be done again and again."""

    BACKUP = "backup"
    """``server backup``, whoever calls it."""
    HISTORY = "history"
    """The day of every tenant written down (``reporting.history``)."""


def note(run: Path, upkeep: Upkeep, *, is_done: bool) -> None:
    """Note that it was done now, or that it failed; a disk that does not take that is told of by others."""
    with suppress(OSError):
        if not is_done:
            _note_failure(run, upkeep)
            return
        beside = _done(run, upkeep).with_suffix(".part")
        beside.unlink(missing_ok=True)
        beside.touch()
        beside.replace(_done(run, upkeep))  # also over what another user left there, whose time is not ours to set


def _note_failure(run: Path, upkeep: Upkeep) -> None:
    try:
        with _failed(run, upkeep).open("ab") as file:
            file.write(b".")
    except PermissionError:  # root's, who ran this before us; its size is for all to see, and the directory is ours
        beside = _failed(run, upkeep).with_suffix(".part")
        beside.unlink(missing_ok=True)
        beside.write_bytes(b"." * (failures(run, upkeep) + 1))
        beside.replace(_failed(run, upkeep))


@contextmanager
def noted(run: Path, upkeep: Upkeep) -> Iterator[None]:
    """Note whether what is done here fails; somebody who ends it has not seen it fail."""
    try:
        yield
    except Exception:
        note(run, upkeep, is_done=False)
        raise
    note(run, upkeep, is_done=True)


def failures(run: Path, upkeep: Upkeep) -> int:
    """Return how often it failed since there is this server."""
    try:
        return _failed(run, upkeep).stat().st_size
    except OSError:
        return 0


def last_done(run: Path, upkeep: Upkeep) -> float | None:
    """Return when it was done last, in seconds since 1970; ``None`` where it never was."""
    try:
        return _done(run, upkeep).stat().st_mtime
    except OSError:
        return None


def _failed(run: Path, upkeep: Upkeep) -> Path:
    return run / f"failed-{upkeep.value}"


def _done(run: Path, upkeep: Upkeep) -> Path:
    return run / f"done-{upkeep.value}"
