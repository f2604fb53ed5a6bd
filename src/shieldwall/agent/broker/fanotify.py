"""The kernel's fanotify, as far as the gate needs it (fanotify(7), Linux 4.20 and later).

A permission event is a process that waits in ``open`` or ``execve`` until it is answered. Closing the group answers
everything that still waits with *allow*.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError

_FAN_CLOEXEC: Final = 0x1
_FAN_NONBLOCK: Final = 0x2
_FAN_CLASS_CONTENT: Final = 0x4
_FAN_UNLIMITED_QUEUE: Final = 0x10
"""When a bounded queue overflows the kernel lets everything pass; the queue is bounded by those who wait anyway."""

_FAN_MARK_ADD: Final = 0x1
_FAN_MARK_REMOVE: Final = 0x2
_FAN_MARK_MOUNT: Final = 0x10
_FAN_MARK_FILESYSTEM: Final = 0x100
_FAN_OPEN: Final = 0x20
_FAN_OPEN_PERM: Final = 0x10000
_FAN_OPEN_EXEC_PERM: Final = 0x40000
_FAN_Q_OVERFLOW: Final = 0x4000
_AT_FDCWD: Final = -100

_EVENT: Final = struct.Struct("=IBBHQii")  # event_len, vers, reserved, metadata_len, mask, fd, pid
_ANSWER: Final = struct.Struct("=iI")
_ALLOW: Final = 1
_DENY: Final = 2
_VERSION: Final = 3
_BATCH: Final = 256
"""Events taken at once: each brings an open descriptor."""
REFUSED_FOR_NOW: Final = frozenset({errno.ENOMEM, errno.ENOSPC, errno.EAGAIN, errno.EINTR})
"""What marking says when the kernel has no memory or no mark left just now; anything else is so for good."""
_BROKEN: Final = frozenset({errno.EBADF, errno.EFAULT, errno.EINVAL})
"""What reading says when it is the group that is wrong, and no single file."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.fanotify_init.argtypes = (ctypes.c_uint, ctypes.c_uint)
_libc.fanotify_mark.argtypes = (ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p)


class FanotifyError(ShieldwallError):
    """The kernel does not let files be watched as they are opened."""

    code = "engineUnavailable"
    remedy = "Real-time protection needs CONFIG_FANOTIFY_ACCESS_PERMISSIONS and the capability CAP_SYS_ADMIN."


class Event(Struct, frozen=True):
    """A process that waits to open a file. ``descriptor`` is the file, open for reading; negative for none."""

    descriptor: int
    pid: int
    executes: bool
    overflow: bool


class Group:
    """One fanotify group for permission events."""

    def __init__(self) -> None:
        """Make the group. Raises: FanotifyError."""
        flags = _FAN_CLOEXEC | _FAN_NONBLOCK | _FAN_CLASS_CONTENT | _FAN_UNLIMITED_QUEUE
        # Without O_NONBLOCK the kernel itself would wait in the open of a named pipe that nobody writes to.
        self._descriptor: int = _libc.fanotify_init(flags, os.O_RDONLY | os.O_LARGEFILE | os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0:
            raise FanotifyError(f"fanotify cannot be used: {os.strerror(ctypes.get_errno())}.")

    def fileno(self) -> int:
        """Return the descriptor to wait at."""
        return self._descriptor

    def watch(self, path: str, *, whole_filesystem: bool) -> None:
        """Hold opens on the mount at ``path``, or on its file system wherever else it is mounted. Raises: OSError."""
        scope = _FAN_MARK_FILESYSTEM if whole_filesystem else _FAN_MARK_MOUNT
        try:
            self._mark(_FAN_MARK_ADD | scope, _FAN_OPEN_PERM | _FAN_OPEN_EXEC_PERM, path)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._mark(_FAN_MARK_ADD | scope, _FAN_OPEN_PERM, path)  # before Linux 5.0 execution is a plain open

    def watch_execution(self, path: str, *, whole_filesystem: bool) -> None:
        """Hold the start of programs alone, as ``watch`` does with every open. Raises: OSError."""
        scope = _FAN_MARK_FILESYSTEM if whole_filesystem else _FAN_MARK_MOUNT
        self._mark(_FAN_MARK_ADD | scope, _FAN_OPEN_EXEC_PERM, path)

    def notice(self, path: str) -> None:
        """Be told of opens on the file system at ``path``; nobody waits for an answer. Raises: OSError."""
        self._mark(_FAN_MARK_ADD | _FAN_MARK_FILESYSTEM, _FAN_OPEN, path)

    def ignore(self, path: str, *, whole_filesystem: bool) -> None:
        """Take a mark back. Raises: OSError."""
        scope = _FAN_MARK_FILESYSTEM if whole_filesystem else _FAN_MARK_MOUNT
        self._mark(_FAN_MARK_REMOVE | scope, _FAN_OPEN_PERM | _FAN_OPEN_EXEC_PERM, path)

    def events(self) -> Iterator[Event]:
        """Yield what waits now, a bounded number at once. Raises: FanotifyError.

        A file that the kernel cannot open for us (a socket, for older kernels; one that somebody has a lease on, one
        for which no descriptor is left) it does not hand out: it refuses that open itself, and hands out the next.
        """
        try:
            content = os.read(self._descriptor, _BATCH * _EVENT.size)
        except OSError as error:
            if error.errno in _BROKEN:
                raise FanotifyError(f"fanotify cannot be read: {os.strerror(error.errno)}.") from error
            return
        offset = 0
        while offset + _EVENT.size <= len(content):
            length, version, _, _, mask, descriptor, pid = _EVENT.unpack_from(content, offset)
            if version != _VERSION:
                raise FanotifyError(f"The kernel speaks version {version} of fanotify.")
            yield Event(descriptor, pid, bool(mask & _FAN_OPEN_EXEC_PERM), bool(mask & _FAN_Q_OVERFLOW))
            offset += max(length, _EVENT.size)

    def answer(self, descriptor: int, *, allow: bool) -> None:
        """Let a process go on, or refuse it; one that was killed meanwhile needs no answer."""
        try:
            os.write(self._descriptor, _ANSWER.pack(descriptor, _ALLOW if allow else _DENY))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def close(self) -> None:
        """Let everything go on that still waits."""
        os.close(self._descriptor)

    def _mark(self, flags: int, mask: int, path: str) -> None:
        if _libc.fanotify_mark(self._descriptor, flags, mask, _AT_FDCWD, os.fsencode(path)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)


def why_not() -> str | None:
    """Say why files cannot be watched as they are opened, ``None`` when they can. Marks nothing."""
    try:
        Group().close()
    except FanotifyError as error:
        return error.cause
    return None
