"""Asking clamd about open files without ever waiting: one connection for each question, all of them polled.

The descriptor itself is passed (``FILDES``), so clamd needs no rights to the path and opens nothing itself: what it
reads through such a descriptor is not held by the gate.
"""

from __future__ import annotations

import array
import contextlib
import errno
import socket
from enum import Enum
from typing import Final

_MAXIMUM_ANSWER_BYTES: Final = 8192


class Answer(Enum):
    """What clamd said, other than a threat's name."""

    FAILED = "failed"
    """It could not scan the file."""
    BROKEN = "broken"
    """It went away in the middle."""


class EngineDownError(OSError):
    """Nobody takes questions at clamd's socket."""


class EngineBusyError(OSError):
    """So many wait already that the kernel takes no further one."""


class Question:
    """One question on its way."""

    def __init__(self, address: str, descriptor: int | None, now: float) -> None:
        """Ask about an open file; without one, only whether clamd lives. Raises: EngineDownError, EngineBusyError."""
        self.asked_at = now
        self._heard = b""
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._connection.connect(address)
            if descriptor is None:
                self._connection.sendall(b"zPING\0")
            else:
                self._connection.sendall(b"zFILDES\0")
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
                self._connection.sendmsg([b"\0"], [rights])
        except BlockingIOError as error:
            self._connection.close()
            raise EngineBusyError(*error.args) from error
        except OSError as error:
            self._connection.close()
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS):
                raise EngineBusyError(*error.args) from error
            raise EngineDownError(*error.args) from error

    def fileno(self) -> int:
        """Return the descriptor to wait at."""
        return self._connection.fileno()

    def answer(self) -> str | Answer | None:
        """Return a threat's name, empty for none, or how it failed; ``None`` while nothing is said. Closes nothing."""
        try:
            heard = self._connection.recv(_MAXIMUM_ANSWER_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return Answer.BROKEN
        self._heard += heard
        if b"\0" not in self._heard:
            return None if heard and len(self._heard) < _MAXIMUM_ANSWER_BYTES else Answer.BROKEN
        return meaning(self._heard.partition(b"\0")[0].decode(errors="replace"))

    def close(self) -> None:
        """Let go of the connection; clamd ends a scan whose asker is gone."""
        with contextlib.suppress(OSError):
            self._connection.close()


def meaning(said: str) -> str | Answer:
    """Read an answer: ``fd[10]: Name FOUND``, ``fd[10]: OK``, ``PONG``; all else is a failure."""
    if said == "PONG" or said.endswith(": OK"):
        return ""
    _, separator, rest = said.partition(": ")
    if separator and rest.endswith(" FOUND"):
        return rest.removesuffix(" FOUND")
    return Answer.FAILED
