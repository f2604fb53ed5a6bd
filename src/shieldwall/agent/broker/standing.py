"""How the gate stands, for those who look after it: who runs it, with which settings, what it watches.

The lock says whether one runs, whatever files a killed one left behind. It is no record lock: those end when their
holder closes *any* descriptor of the file, and the gate gets and closes one whenever somebody opens it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from shieldwall.agent.broker.processes import start_of
from shieldwall.contract.kinds import learned

DIRECTORY: Final = PurePosixPath("/run/shieldwall")
STATE: Final = DIRECTORY / "broker.state"
LOCK: Final = DIRECTORY / "broker.lock"
SPARED: Final = DIRECTORY / "broker.spared"
"""The one process, besides the scanner, that may open what is blocked: number and start, written by itself."""

_LOCK_ATTEMPTS: Final = 20
_LOCK_PAUSE_SECONDS: Final = 0.05


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What the gate says of itself."""

    pid: int
    settings: str
    """SHA-256 of the file of settings that it works with, in hexadecimal."""
    mode: str
    engine_answers: bool
    watching: tuple[str, ...]
    unwatchable: tuple[str, ...] = ()
    """Mount points that the kernel refused to watch."""


class Lock:
    """Held by the one gate of a system."""

    def __init__(self, root: Path) -> None:
        """Take it. Raises: OSError when another holds it."""
        path = root / LOCK.relative_to("/")
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            os.close(self._descriptor)
            raise

    def _lock(self) -> None:
        for _ in range(_LOCK_ATTEMPTS):  # somebody who only asks who holds it does so for an instant
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(_LOCK_PAUSE_SECONDS)
        raise BlockingIOError(errno.EWOULDBLOCK, "another holds the lock")


def holder(root: Path) -> int | None:
    """Return the process that runs the gate, ``None`` when there is none."""
    try:
        descriptor = os.open(root / LOCK.relative_to("/"), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(ValueError):
            return int(os.pread(descriptor, 32, 0))
    finally:
        os.close(descriptor)
    return None


def read(root: Path) -> State | None:
    """Return what the running gate says of itself; ``None`` when none runs or it has not said anything."""
    pid = holder(root)
    if pid is None:
        return None
    try:
        state = msgspec.json.decode((root / STATE.relative_to("/")).read_bytes(), type=learned(State))
    except (OSError, msgspec.DecodeError):
        return None
    return state if state.pid == pid else None


def write(root: Path, state: State | None) -> None:
    """Say how we stand, or with ``None`` that we are gone. Raises: OSError."""
    path = root / STATE.relative_to("/")
    if state is None:
        path.unlink(missing_ok=True)
        return
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:  # noqa: PTH123 - pathlib cannot refuse links
        file.write(msgspec.json.encode(state))
    new.replace(path)


def spare(root: Path, pid: int | None) -> None:
    """Name the process that may open what is blocked, or nobody. Raises: OSError."""
    path = root / SPARED.relative_to("/")
    if pid is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    content = f"{pid} {start_of(pid)}\n"
    with contextlib.suppress(OSError):
        if path.read_text() == content:
            return
    new = path.with_suffix(".spared-new")
    new.write_text(content)
    new.replace(path)


def spared(root: Path) -> frozenset[int]:
    """Return the process that may open what is blocked, if it is still the one that was named."""
    try:
        pid, start = (root / SPARED.relative_to("/")).read_text().split()
        return frozenset({int(pid)} if start_of(int(pid)) == int(start) else ())
    except (OSError, ValueError):
        return frozenset()
