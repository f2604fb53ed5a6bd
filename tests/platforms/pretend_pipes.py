"""Named pipes in memory: pairs of sockets, each with who came by it."""

from __future__ import annotations

import contextlib
import queue
import socket
from dataclasses import dataclass, field
from pathlib import Path

from shieldwall.agent.host.running_system import ADMINISTRATOR
from shieldwall.agent.host.wires import Dial, Wire


@dataclass
class PretendEnd:
    """One end of a pipe; who is behind it is known once something was read, as on Windows."""

    connection: socket.socket
    number: int
    was_read: bool = False

    def settimeout(self, seconds: float, /) -> None:
        self.connection.settimeout(seconds)

    def sendall(self, data: bytes, /) -> None:
        self.connection.sendall(data)

    def recv(self, most: int, /) -> bytes:
        data = self.connection.recv(most)
        self.was_read = True
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def who(self) -> int:
        if not self.was_read:
            raise OSError(1368, "Unable to impersonate using a named pipe until data has been read from that pipe.")
        return self.number


@dataclass
class PretendPipes:
    """Implements ``Pipes``; ``dial`` comes in as ``number``."""

    number: int = ADMINISTRATOR
    _come: queue.SimpleQueue[PretendEnd | None] = field(default_factory=queue.SimpleQueue)

    def next(self) -> PretendEnd:
        end = self._come.get()
        if end is None:
            raise OSError("The pipe is closed.")
        return end

    def close(self) -> None:
        self._come.put(None)

    @property
    def is_somebody_waiting(self) -> bool:
        return not self._come.empty()

    def dial(self, path: Path, seconds: float) -> Wire:
        """Come in as ``number``; implements ``Dial``."""
        return self.dial_as(self.number)(path, seconds)

    def dial_as(self, number: int) -> Dial:
        """Return the way in of somebody."""

        def dial(path: Path, seconds: float) -> Wire:
            del path
            ours, theirs = socket.socketpair()
            ours.settimeout(seconds)
            self._come.put(PretendEnd(theirs, number))
            return ours

        return dial
