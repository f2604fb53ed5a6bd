"""The kernel's notices of changed files: fanotify, which names the process, and inotify where that is not allowed.

Directories are watched, not files: most programs replace a file by a new one, and a watch on the old one would hear
nothing ever again. fanotify(7) with ``FAN_REPORT_DIR_FID | FAN_REPORT_NAME`` (Linux 5.9) tells directory, name and
process; another process is named only to those with ``CAP_SYS_ADMIN``. inotify(7) tells directory and name.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

_BUFFER: Final = 64 * 1024
_AT_FDCWD: Final = -100

_FAN_CLOEXEC, _FAN_NONBLOCK, _FAN_REPORT_DIR_FID, _FAN_REPORT_NAME = 0x1, 0x2, 0x400, 0x800
_FAN_MARK_ADD, _FAN_MARK_ONLYDIR = 0x1, 0x8
_FAN_ATTRIB, _FAN_CLOSE_WRITE, _FAN_MOVED, _FAN_CREATE, _FAN_DELETE = 0x4, 0x8, 0xC0, 0x100, 0x200
_FAN_ONDIR, _FAN_EVENT_ON_CHILD, _FAN_Q_OVERFLOW = 0x40000000, 0x08000000, 0x4000
_FAN_MASK: Final = (
    _FAN_ATTRIB | _FAN_CLOSE_WRITE | _FAN_MOVED | _FAN_CREATE | _FAN_DELETE | _FAN_ONDIR | _FAN_EVENT_ON_CHILD
)
_FAN_EVENT: Final = struct.Struct("=IBBHQii")
"""Length, version, reserved, length of this, mask, descriptor, process."""
_FAN_INFO: Final = struct.Struct("=BBHiiIi")
"""Type, padding, length, file system (two words), bytes of the handle, its type; then handle and name follow."""
_HANDLE: Final = struct.Struct("=Ii")
_MAX_HANDLE: Final = 128

_IN_ATTRIB, _IN_CLOSE_WRITE, _IN_MOVED, _IN_CREATE, _IN_DELETE = 0x4, 0x8, 0xC0, 0x100, 0x200
_IN_Q_OVERFLOW, _IN_ONLYDIR = 0x4000, 0x01000000
_IN_MASK: Final = _IN_ATTRIB | _IN_CLOSE_WRITE | _IN_MOVED | _IN_CREATE | _IN_DELETE | _IN_ONLYDIR
_IN_EVENT: Final = struct.Struct("=iIII")
"""Watch, mask, cookie, length of the name that follows."""


class Notice(Struct, frozen=True, kw_only=True):
    """Something in a directory changed. Without a directory it may have been anything; without a process, anybody."""

    directory: Path | None
    name: str = ""
    pid: int | None = None


class Notifier(Protocol):
    """A queue of notices."""

    def fileno(self) -> int:
        """Return what to wait for."""
        ...

    def watch(self, directory: Path) -> bool:
        """Watch a directory; again does no harm. False where that is not possible."""
        ...

    def notices(self) -> list[Notice]:
        """Take what has come. Never waits."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


class Fanotify:
    """Notices with the process that caused them. Raises: OSError where the kernel does not allow it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        flags = _FAN_CLOEXEC | _FAN_NONBLOCK | _FAN_REPORT_DIR_FID | _FAN_REPORT_NAME
        self._descriptor = _checked(self._libc.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC))
        self._directories: defaultdict[bytes, set[Path]] = defaultdict(set)

    def fileno(self) -> int:
        """See ``Notifier.fileno``."""
        return self._descriptor

    def watch(self, directory: Path) -> bool:
        """See ``Notifier.watch``."""
        try:
            handle = self._handle(directory)
            flags, mask = _FAN_MARK_ADD | _FAN_MARK_ONLYDIR, ctypes.c_uint64(_FAN_MASK)
            _checked(self._libc.fanotify_mark(self._descriptor, flags, mask, _AT_FDCWD, os.fsencode(directory)))
        except OSError:
            return False
        self._directories[handle].add(directory)
        return True

    def notices(self) -> list[Notice]:
        """See ``Notifier.notices``."""
        return [notice for buffer in _chunks(self._descriptor) for notice in self._read(buffer)]

    def close(self) -> None:
        """See ``Notifier.close``."""
        os.close(self._descriptor)

    def _handle(self, directory: Path) -> bytes:
        """Return the name that the kernel gives a directory in its notices."""
        buffer = ctypes.create_string_buffer(_HANDLE.pack(_MAX_HANDLE, 0), _HANDLE.size + _MAX_HANDLE)
        mount = ctypes.c_int()
        _checked(
            self._libc.name_to_handle_at(_AT_FDCWD, os.fsencode(directory), buffer, ctypes.byref(mount), 0),
        )
        size, kind = _HANDLE.unpack_from(buffer.raw)
        return _HANDLE.pack(size, kind) + buffer.raw[_HANDLE.size : _HANDLE.size + size]

    def _read(self, buffer: bytes) -> Iterator[Notice]:
        offset = 0
        while offset < len(buffer):
            length, _, _, fixed, mask, _, pid = _FAN_EVENT.unpack_from(buffer, offset)
            if mask & _FAN_Q_OVERFLOW:
                yield Notice(directory=None)
            elif length > fixed:
                _, _, size, _, _, handle_size, kind = _FAN_INFO.unpack_from(buffer, offset + fixed)
                start = offset + fixed + _FAN_INFO.size
                handle = _HANDLE.pack(handle_size, kind) + buffer[start : start + handle_size]
                name = buffer[start + handle_size : offset + fixed + size].partition(b"\0")[0]
                for directory in self._directories.get(handle, {None}):
                    yield Notice(directory=directory, name=os.fsdecode(name), pid=pid if pid > 0 else None)
            offset += length


class Inotify:
    """Notices without the process. Raises: OSError where the system's limit of watches is used up."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._directories: dict[int, Path] = {}

    def fileno(self) -> int:
        """See ``Notifier.fileno``."""
        return self._descriptor

    def watch(self, directory: Path) -> bool:
        """See ``Notifier.watch``."""
        number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(directory), _IN_MASK)
        if number < 0:
            return False
        self._directories[number] = directory
        return True

    def notices(self) -> list[Notice]:
        """See ``Notifier.notices``."""
        return [notice for buffer in _chunks(self._descriptor) for notice in self._read(buffer)]

    def close(self) -> None:
        """See ``Notifier.close``."""
        os.close(self._descriptor)

    def _read(self, buffer: bytes) -> Iterator[Notice]:
        offset = 0
        while offset < len(buffer):
            number, mask, _, size = _IN_EVENT.unpack_from(buffer, offset)
            start = offset + _IN_EVENT.size
            name = buffer[start : start + size].partition(b"\0")[0]
            if mask & _IN_Q_OVERFLOW:
                yield Notice(directory=None)
            elif number in self._directories:
                yield Notice(directory=self._directories[number], name=os.fsdecode(name))
            offset = start + size


def _chunks(descriptor: int) -> Iterator[bytes]:
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(descriptor, _BUFFER):
            yield chunk


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
