"""Walking over files that others can move about while we look, with the rights of root.

Every step goes by an open directory and never through a symbolic link, so nobody can lead the walk elsewhere. Only
regular files are opened, without waiting and without changing the time of last access. A file travels with the
directory it was found in: who removes it later removes it there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct, field

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_RUNNING: Final = re.compile(r"/proc/[0-9]+/exe\Z")
_MOST_WAITS: Final = 20
"""Leases that a walk waits for; the kernel ends each after 45 seconds, and a walk must end as well."""
_DEEPEST: Final = 200
"""Directories below one another; deeper ones are hardly a place to start a program from, and cost a descriptor each."""


class OpenFile(Struct, kw_only=True):
    """A regular file, open for reading, and the open directory that it was found in; to be closed by who takes it."""

    path: str
    descriptor: int
    directory: int
    name: str
    status: os.stat_result
    is_gone: bool = False
    """Whether only a running program still holds the file, whose name is gone already."""

    def close(self) -> None:
        """Let go of both."""
        os.close(self.descriptor)
        os.close(self.directory)


class Walk(Struct, kw_only=True):
    """One walk, and what it could not look at."""

    is_excluded: Callable[[str], bool]
    borders: frozenset[str]
    """Directories that are not entered, as the mount points of other file systems."""
    excluded: int = 0
    unreadable: int = 0
    reasons: list[str] = field(default_factory=list)
    waits: int = 0

    def over(self, root: str) -> Iterator[OpenFile]:
        """Yield every regular file at or below ``root``, which itself may be a file."""
        try:
            parent, name = open_parent(root)
        except OSError as error:
            self._note(root, error)
            return
        try:
            if _RUNNING.match(root):
                yield from self._running(parent, name, root)
            else:
                yield from self._entry(parent, name, root, depth=0)
        finally:
            os.close(parent)

    def _entry(self, parent: int, name: str, path: str, depth: int) -> Iterator[OpenFile]:
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            self._note(path, error)
            return
        if stat.S_ISDIR(status.st_mode):
            if depth == 0 or path not in self.borders:
                yield from self._directory(parent, name, path, depth)
        elif stat.S_ISREG(status.st_mode):
            if self.is_excluded(path):
                self.excluded += 1
            elif (found := self._opened(parent, name, path)) is not None:
                yield found

    def _directory(self, parent: int, name: str, path: str, depth: int) -> Iterator[OpenFile]:
        if depth and self.is_excluded(path + "/"):
            self.excluded += 1
            return
        if depth > _DEEPEST:
            self._note(path, OSError(errno.ELOOP, "Directories lie too deep"))
            return
        try:
            directory = os.open(name, _DIRECTORY, dir_fd=parent)
        except OSError as error:
            self._note(path, error)
            return
        try:
            with os.scandir(directory) as entries:
                names = [entry.name for entry in entries]
            for entry in names:
                yield from self._entry(directory, entry, f"{path.rstrip('/')}/{entry}", depth + 1)
        except OSError as error:
            self._note(path, error)
        finally:
            os.close(directory)

    def _opened(self, parent: int, name: str, path: str) -> OpenFile | None:
        try:
            descriptor = self._unleased(parent, name)
        except OSError as error:
            self._note(path, error)
            return None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):  # it was swapped between the two looks
            os.close(descriptor)
            return None
        return OpenFile(path=path, descriptor=descriptor, directory=os.dup(parent), name=name, status=status)

    def _unleased(self, parent: int, name: str) -> int:
        """Open a file, for which somebody may hold a lease (fcntl(2)); that must keep nobody from looking at it."""
        try:
            return _open_quietly(parent, name)
        except BlockingIOError:
            if self.waits >= _MOST_WAITS:
                raise
        self.waits += 1
        return _open_patiently(parent, name)

    def _running(self, process: int, name: str, path: str) -> Iterator[OpenFile]:
        """Yield the program of a process by the kernel's own link, the only one that is ever followed."""
        try:
            descriptor = os.open(name, _FILE & ~os.O_NOFOLLOW, dir_fd=process)
        except OSError as error:
            self._note(path, error)
            return
        status = os.fstat(descriptor)
        yield OpenFile(
            path=path, descriptor=descriptor, directory=os.dup(process), name=name, status=status, is_gone=True
        )

    def _note(self, path: str, error: OSError) -> None:
        if error.errno == errno.ENOENT:  # gone meanwhile, or a place that this machine does not have
            return
        self.unreadable += 1
        if len(self.reasons) < 10:
            self.reasons.append(f"{path}: {error.strerror or error}"[:256])


def open_parent(path: str) -> tuple[int, str]:
    """Open the directory that holds ``path``, without following a link on the way; return it and the last name.

    Raises:
        OSError: A part is missing, is no directory or is a symbolic link.
    """
    parts = [part for part in path.split("/") if part]
    directory = os.open("/", _DIRECTORY)
    if not parts:
        return directory, "."
    try:
        for part in parts[:-1]:
            below = os.open(part, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = below
    except OSError:
        os.close(directory)
        raise
    return directory, parts[-1]


def _open_patiently(parent: int, name: str) -> int:
    """Open a regular file, and wait until the kernel has taken a lease away. Raises: OSError."""
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(held).st_mode):  # a pipe would be waited for without an end
            raise OSError(errno.ESTALE, "It is another file by now")
        return os.open(f"/proc/self/fd/{held}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(held)


def _open_quietly(parent: int, name: str) -> int:
    with contextlib.suppress(PermissionError):  # only the owner, or who may act for it, reads without a trace
        return os.open(name, _FILE | os.O_NOATIME, dir_fd=parent)
    return os.open(name, _FILE, dir_fd=parent)
