"""The way to a process on the same machine: a Unix socket, and on Windows a named pipe. The bytes are the same."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias


class Wire(Protocol):
    """A connection; a socket is one as it is. Each call ends within the seconds set, or raises ``TimeoutError``."""

    def settimeout(self, seconds: float, /) -> None:
        """Let each call take so long."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send everything. Raises: OSError."""
        ...

    def recv(self, most: int, /) -> bytes:
        """Return what has come, at most so much; nothing when the other side has closed. Raises: OSError."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


Dial: TypeAlias = Callable[[Path, float], Wire]
"""Connects to a path within so many seconds. Raises: OSError."""

if sys.platform == "win32":

    def dial(path: Path, seconds: float) -> Wire:
        """Connect to a named pipe that SYSTEM made. Raises: OSError."""
        from shieldwall.agent.windows.pipes_edge import dial_pipe  # noqa: PLC0415 - for Windows alone

        return dial_pipe(str(path), seconds)

else:

    def dial(path: Path, seconds: float) -> Wire:
        """Connect to a Unix socket. Raises: OSError."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # no program that we start inherits it (PEP 446)
        try:
            connection.settimeout(seconds)
            connection.connect(str(path))
        except OSError:
            connection.close()
            raise
        return connection
