"""Files that only their owner may read. What is put in the place of another is there entirely or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shieldwall.server.signer.errors import KeyFilesError

MAX_KEY_FILE_BYTES = 64 * 1024


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file with mode 0600 and bring it to the disk. Raises: FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def put_secret(path: Path, data: bytes) -> None:
    """Write a file in the place of what may be there: at any moment the one is there or the other, never a part.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # what a crash left half written
    try:
        write_secret(beside, data)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_secret(path: Path) -> bytes:
    """Read a file that is ours alone.

    Raises:
        KeyFilesError: It is missing, no regular file, of another owner, open to others, or too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KeyFilesError(f"{path} cannot be opened: {error.strerror}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFilesError(f"{path} is not a regular file.")
        _refuse_foreign(path, status)
        data = _read_all(descriptor)
    finally:
        os.close(descriptor)
    if len(data) > MAX_KEY_FILE_BYTES:
        raise KeyFilesError(f"{path} is larger than {MAX_KEY_FILE_BYTES} bytes.")
    return data


def _read_all(descriptor: int) -> bytes:
    data = b""
    while len(data) <= MAX_KEY_FILE_BYTES and (part := os.read(descriptor, MAX_KEY_FILE_BYTES + 1)):
        data += part
    return data


def check_private_directory(path: Path) -> None:
    """Refuse a directory into which others could put files. Raises: KeyFilesError."""
    try:
        status = path.lstat()
    except OSError as error:
        raise KeyFilesError(f"{path} cannot be read: {error.strerror}.") from None
    if not stat.S_ISDIR(status.st_mode):
        raise KeyFilesError(f"{path} is not a directory.")
    _refuse_foreign(path, status)


def sync_directory(path: Path) -> None:
    """Bring names made in a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise KeyFilesError(f"{path} belongs to another user.")
    if status.st_mode & 0o077:
        raise KeyFilesError(f"{path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}).")
