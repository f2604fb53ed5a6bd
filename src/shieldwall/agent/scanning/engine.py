"""Asking clamd about a file that we have open.

The open file itself is handed over (``FILDES``): what is judged is what we hold, whatever its name points to by now,
and clamd needs no right to read it. Where the kernel keeps clamd from that all the same (AppArmor asks again when a
file is handed over), its bytes are sent instead, as far as clamd takes them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

_TIMEOUT_SECONDS: Final = 300.0
_CHUNK: Final = 262_144
_LONGEST_ANSWER: Final = 4096


class Verdict(StrEnum):
    """What clamd says of a file."""

    CLEAN = "clean"
    FOUND = "found"
    FAILED = "failed"


class Answer(Struct, frozen=True, kw_only=True):
    """A verdict with the name of the threat, or the reason why there is none."""

    verdict: Verdict
    threat: str = ""
    reason: str = ""


class EngineGoneError(OSError):
    """Nobody answers any more: the scan cannot go on."""


def look_at(address: Path, descriptor: int) -> Answer:
    """Have clamd look at an open file. Raises: EngineGoneError."""
    answer = _judged(_by_descriptor(address, descriptor))
    if answer.verdict is not Verdict.FAILED:
        return answer
    sent = _judged(_by_content(address, descriptor))
    return sent if sent.verdict is not Verdict.FAILED else answer


def version(address: Path) -> str | None:
    """Return the engine's version and that of its database; ``None`` when nobody answers."""
    try:
        with _connected(address) as connection:
            connection.sendall(b"zVERSION\0")
            return _answer(connection)[:128] or None
    except OSError:
        return None


def _by_descriptor(address: Path, descriptor: int) -> str:
    with _connected(address) as connection:
        try:
            connection.sendall(b"zFILDES\0")
            socket.send_fds(connection, [b"\0"], [descriptor])
            return _answer(connection)
        except OSError:
            return ""  # one file that clamd chokes on; whether clamd itself is gone shows with the next


def _by_content(address: Path, descriptor: int) -> str:
    with _connected(address) as connection:
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # past its limit clamd answers and closes
                _send(connection, descriptor)
            return _answer(connection)
        except OSError:
            return ""


def _send(connection: socket.socket, descriptor: int) -> None:
    connection.sendall(b"zINSTREAM\0")
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        connection.sendall(struct.pack(">I", len(chunk)) + chunk)
        offset += len(chunk)
    connection.sendall(struct.pack(">I", 0))


def _judged(answer: str) -> Answer:
    _, _, said = answer.partition(": ")
    if said.endswith(" FOUND"):
        return Answer(verdict=Verdict.FOUND, threat=said.removesuffix(" FOUND"))
    if said in {"OK", "Empty file"}:
        return Answer(verdict=Verdict.CLEAN)
    return Answer(verdict=Verdict.FAILED, reason=answer[:256] or "clamd did not answer.")


def _answer(connection: socket.socket) -> str:
    heard = bytearray()
    while len(heard) < _LONGEST_ANSWER and (chunk := connection.recv(_LONGEST_ANSWER)):
        heard += chunk
    return bytes(heard).rstrip(b"\0\n").decode(errors="replace")


def _connected(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(str(address))
    except OSError as error:
        connection.close()
        raise EngineGoneError(f"clamd does not answer at {address}: {error.strerror or error}.") from error
    return connection
