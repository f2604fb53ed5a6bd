"""Reading and replacing files so that a crash leaves the old or the new content and nothing else.

The order is the one that survives a power cut: new content into a temporary file beside the old, ``fsync``, rename,
``fsync`` of the directory (rename(2): an existing target is replaced without a moment in which it is missing).

A process killed between two of these steps leaves what everybody reads and no disk holds. So nothing that is found as
it should be is taken for durable: it is synced as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shieldwall.agent.host.durable import move, sync, sync_directory, take_after
from shieldwall.agent.host.errors import DiskFullError, HostError, RefusedFileError
from shieldwall.agent.host.opening import NEVER_WAITS, NOT_FOLLOWED, OURS_ALONE

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_CHUNK: Final = 65_536
"""Bytes read at once: asked for much more, the kernel answers for its own values that it has no memory."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def read_bytes(path: Path) -> bytes | None:
    """Return a regular file's content, ``None`` when nothing is there.

    Raises:
        HostError: It is there and cannot be read, or is no regular file (opening a FIFO must not hang us).
    """
    with _translated(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | NEVER_WAITS | OURS_ALONE | NOT_FOLLOWED)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with open(descriptor, "rb", buffering=0):  # noqa: PTH123 - pathlib cannot wrap an open descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RefusedFileError(f"{path} is not a regular file.")
            content = _read_all(descriptor)
    if len(content) > MAX_FILE_BYTES:
        raise RefusedFileError(f"{path} is larger than {MAX_FILE_BYTES} bytes.")
    return content


def _read_all(descriptor: int) -> bytes:
    """Read to the end, or just beyond what is allowed."""
    content = bytearray()
    while len(content) <= MAX_FILE_BYTES and (chunk := os.read(descriptor, _CHUNK)):
        content += chunk
    return bytes(content)


def replace(path: Path, content: bytes, *, mode: int) -> None:
    """Have a file hold this content, durably; owner and mode of an existing file stay. Raises: HostError."""
    with _translated(path):
        make_directory(path.parent)
        existing = _existing(path)
        if existing is not None and existing.st_size == len(content) and read_bytes(path) == content:
            sync(path)
            sync_directory(path.parent)
            return
        # One name for all attempts: what a killed attempt left behind is cleared away by the next.
        temporary = path.with_name(f".{path.name}.shieldwall-new")
        temporary.unlink(missing_ok=True)
        try:
            _write(temporary, content, existing, mode)
            move(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove a regular file durably; nothing there is fine. Raises: HostError."""
    with _translated(path):
        if _existing(path) is not None:
            path.unlink()
        if path.parent.is_dir():
            sync_directory(path.parent)


def settle(directory: Path) -> None:
    """Have on disk which names a directory holds, whoever changed them last. Raises: HostError."""
    with _translated(directory):
        sync_directory(directory)


def make_directory(path: Path, *, mode: int = 0o755) -> None:
    """Make a directory and its parents, each on disk before the next. Raises: OSError."""
    if path.is_dir():
        if _is_empty(path):  # it may have been made a moment ago, by a process that did not live to sync it
            sync_directory(path.parent)
        return
    make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=mode)
    sync_directory(path.parent)


def _write(temporary: Path, content: bytes, existing: os.stat_result | None, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OURS_ALONE | NOT_FOLLOWED
    with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123 - as above
        take_after(file.fileno(), existing, mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _existing(path: Path) -> os.stat_result | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        raise RefusedFileError(f"{path} is not a regular file.")
    return found


def _is_empty(path: Path) -> bool:
    with os.scandir(path) as entries:
        return next(entries, None) is None


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = f"{path}: {error.strerror or error}."
        if error.errno in _FULL:
            raise DiskFullError(cause) from error
        if error.errno == errno.ELOOP:
            raise RefusedFileError(f"{path} is a symbolic link.") from error
        raise HostError(cause) from error
