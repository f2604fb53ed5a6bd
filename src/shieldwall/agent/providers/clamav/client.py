"""Talking to clamd over its Unix socket."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from pathlib import Path
from typing import Final

from shieldwall.agent.host.in_time import HungError, in_time

TIMEOUT_SECONDS: Final = 10.0
_WHOLE_ANSWER_SECONDS: Final = 30.0
"""Whoever says a little now and then must not keep us for ever."""
_MAXIMUM_ANSWER_BYTES: Final = 65_536
_PEER: Final = struct.Struct("3i")  # pid, uid, gid


class NoAnswerError(OSError):
    """clamd said nothing, or too much."""


def ask(address: Path, command: str, stream: bytes | None = None) -> str:
    """Send one command, with ``stream`` as the bytes of an ``INSTREAM``, and return the answer. Raises: OSError."""
    with _connected(address) as connection:
        connection.sendall(f"z{command}\0".encode())
        if stream is not None:
            connection.sendall(struct.pack(">I", len(stream)) + stream + struct.pack(">I", 0))
        answer, deadline = bytearray(), time.monotonic() + _WHOLE_ANSWER_SECONDS
        while chunk := connection.recv(4096):
            answer += chunk
            if time.monotonic() > deadline:
                raise NoAnswerError("The answer does not end.")
            if len(answer) > _MAXIMUM_ANSWER_BYTES:
                raise NoAnswerError("The answer is too long.")
    if not answer:
        raise NoAnswerError("The connection was closed without an answer.")
    return answer.rstrip(b"\0\n").decode(errors="replace")


def is_alive(address: Path) -> bool:
    """Say whether clamd answers."""
    with contextlib.suppress(OSError):
        return ask(address, "PING") == "PONG"
    return False


def listener(address: Path) -> int | None:
    """Return the process that listens on a socket, as the kernel knows it; ``None`` when nobody does."""
    try:
        with _connected(address) as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    except OSError:
        return None
    return int(_PEER.unpack(credentials)[0])


def _connected(address: Path) -> socket.socket:
    """Connect. clamd's user owns the directory of its socket, so not even the way there must be walked for ever."""
    try:
        return in_time(f"The socket {address}", lambda: _connect(address), seconds=2 * TIMEOUT_SECONDS)
    except HungError as error:
        raise TimeoutError(error.cause) from error


def _connect(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(str(address))
    except OSError:
        connection.close()
        raise
    return connection
