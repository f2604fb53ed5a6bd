"""Where the signer listens: ``DATA/run/signer.sock``, for its own user alone."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.signer.key_files import check_private_directory

SOCKET_NAME: Final = "signer.sock"
_LOCK_NAME: Final = "signer.lock"
_BACKLOG: Final = 128


def socket_path(data: Path) -> Path:
    """Return where the signer of a data directory listens."""
    return data / "run" / SOCKET_NAME


@contextmanager
def listening(data: Path) -> Iterator[socket.socket]:
    """Listen as the only signer of this data directory.

    Raises:
        SignerUnavailableError: Another signer already serves it.
        KeyFilesError: Others could put files beside the socket.
    """
    path = socket_path(data)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private_directory(path.parent)
    with _only_one(path.parent), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        path.unlink(missing_ok=True)  # left over by a signer that was killed: we hold the lock
        with _short_name(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen(_BACKLOG)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def connect(path: Path, timeout: float) -> socket.socket:
    """Connect to a signer. Raises: OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _short_name(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def peer_user(connection: socket.socket) -> int:
    """Return the user id of the process at the other end, as the kernel knows it."""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(user)


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SignerUnavailableError(
                f"Another signer already serves {directory.parent}.", remedy="Stop the other signer first."
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _short_name(path: Path) -> Iterator[str]:
    """Name a socket through its open directory: addresses of Unix sockets end after 107 bytes, paths need not."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
