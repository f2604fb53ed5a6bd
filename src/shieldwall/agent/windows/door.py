"""Named pipes in the place of a listening Unix socket: each client becomes a socket of the applier's server.

The server keeps its limits, its order and its deadlines (``applier/server.py``), whatever carries the bytes. Behind
each pipe two threads move bytes to and from one end of a pair of sockets; the server has the other end.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct, field

from shieldwall.agent.applier.connections import FRAME_SECONDS, IDLE_SECONDS
from shieldwall.agent.host.wires import Wire

MOST_PIPES: Final = 64
"""Clients at once, those that have said nothing yet among them."""
_CHUNK: Final = 1 << 16


class PipeEnd(Wire, Protocol):
    """The applier's end of one pipe."""

    def who(self) -> int:
        """Number who is at the other end; Windows tells only after something was read. Raises: OSError."""
        ...


class Pipes(Protocol):
    """The instances of one named pipe."""

    def next(self) -> PipeEnd:
        """Wait for the next client. Raises: OSError: it went away again, or ``close`` was called."""
        ...

    def close(self) -> None:
        """Let nobody in any more; may be called by another thread."""
        ...


class PipeDoor(Struct):
    """Implements ``Listener`` for the applier's server, which asks ``peer`` who is behind a connection."""

    pipes: Pipes
    say: Callable[..., None]
    _come: queue.SimpleQueue[tuple[socket.socket, int]] = field(default_factory=queue.SimpleQueue)
    _bell: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _numbers: dict[int, int] = field(default_factory=dict)
    _room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST_PIPES))
    _closed: threading.Event = field(default_factory=threading.Event)
    _doorkeeper: threading.Thread | None = None

    def open(self) -> None:
        """Begin to let clients in."""
        self._doorkeeper = threading.Thread(target=self._let_in, name="door", daemon=True)
        self._doorkeeper.start()

    def fileno(self) -> int:
        """See ``Listener.fileno``."""
        return self._bell[0].fileno()

    def setblocking(self, flag: bool, /) -> None:
        """See ``Listener.setblocking``."""
        self._bell[0].setblocking(flag)

    def accept(self) -> tuple[socket.socket, object]:
        """See ``Listener.accept``. Raises: BlockingIOError: nobody is there."""
        self._bell[0].recv(1)
        try:
            connection, number = self._come.get_nowait()
        except queue.Empty:
            raise BlockingIOError from None
        self._numbers[connection.fileno()] = number
        return connection, number

    def peer(self, connection: socket.socket) -> int:
        """Say once who is behind a connection that was just accepted. Raises: OSError: nobody knows."""
        try:
            return self._numbers.pop(connection.fileno())
        except KeyError:
            raise OSError("Nobody came by this connection.") from None

    def close(self) -> None:
        """Let nobody in any more: once this returns, whoever comes finds the next door, or none."""
        self._closed.set()
        self.pipes.close()
        self._room.release()  # where all pipes are taken, it is room that the doorkeeper waits for
        if self._doorkeeper is not None:
            self._doorkeeper.join()
        for end in self._bell:
            end.close()
        self._turn_away()

    def _let_in(self) -> None:
        while not self._closed.is_set():
            self._room.acquire()
            if self._closed.is_set():
                return
            try:
                end = self.pipes.next()
            except OSError as error:
                self._room.release()
                if not self._closed.wait(0.1):
                    self.say("acceptFailed", cause=str(error))
                continue
            threading.Thread(target=self._serve, args=(end,), name="pipe", daemon=True).start()

    def _serve(self, end: PipeEnd) -> None:
        try:
            end.settimeout(FRAME_SECONDS)
            first = end.recv(_CHUNK)
            if first:
                self._carry(end, first, end.who())
        except OSError:
            return  # it went away, or said nothing in time
        finally:
            end.close()
            self._room.release()

    def _carry(self, end: PipeEnd, first: bytes, number: int) -> None:
        ours, servers = socket.socketpair()
        with ours:
            ours.sendall(first)
            self._come.put((servers, number))
            with contextlib.suppress(OSError):
                self._bell[1].send(b"\0")
            if self._closed.is_set():
                self._turn_away()
            back = threading.Thread(target=_to_pipe, args=(ours, end), name="pipe", daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                end.settimeout(IDLE_SECONDS + FRAME_SECONDS)  # the server closes an idle connection before that
                while data := end.recv(_CHUNK):
                    ours.sendall(data)
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            back.join()

    def _turn_away(self) -> None:
        """Close what nobody accepts any more."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._come.get_nowait()[0].close()


def _to_pipe(ours: socket.socket, end: PipeEnd) -> None:
    with contextlib.suppress(OSError):
        while data := ours.recv(_CHUNK):
            end.sendall(data)
    end.close()
