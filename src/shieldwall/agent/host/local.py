"""This machine, or a part of it under another root."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import RefusedFileError
from shieldwall.agent.host.files import read_bytes, remove, replace
from shieldwall.agent.host.in_time import in_time
from shieldwall.agent.host.kernel_files import is_kernel_file, write_value
from shieldwall.agent.host.opening import NOT_FOLLOWED, OURS_ALONE
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.processes import run_to_end
from shieldwall.agent.host.running_system import own_user

PROGRAM_DIRECTORIES: Final = tuple(
    map(PurePosixPath, ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"))
)

_WRITE_SECONDS: Final = 120.0
"""To have something on disk can take long where the disk is busy."""
_O_PATH: Final[int | None] = getattr(os, "O_PATH", None)
"""Linux alone has it: names a place without opening what lies there."""
_MOST_LINKS: Final = 64
"""More links than the kernel itself follows."""


class LocalHost:
    """The machine whose ``/`` is ``root``.

    Programs are looked for in the usual directories under the root. ``program_directories`` names other directories of
    this process's own file system instead: a root that holds files alone can then still be driven with real programs.
    """

    def __init__(self, root: Path, *, program_directories: Sequence[Path] | None = None) -> None:
        self._root = root.resolve()
        self._program_directories = (
            tuple(self.locate(directory) for directory in PROGRAM_DIRECTORIES)
            if program_directories is None
            else tuple(program_directories)
        )

    @property
    def root(self) -> Path:
        """Directory that is ``/`` of the managed system."""
        return self._root

    def locate(self, path: PurePosixPath) -> Path:
        """Place an absolute path of the managed system under the root. Raises: RefusedFileError."""
        if not path.is_absolute() or ".." in path.parts or "\0" in str(path):
            raise RefusedFileError(f"{str(path)!r} is not an absolute path without '..'.")
        return self._root.joinpath(*path.parts[1:])

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """Return a file's content, or ``None`` when there is no such file. Raises: HostError."""
        if is_kernel_file(path):
            return read_bytes(self._real(path))
        return in_time(str(self.locate(path)), lambda: read_bytes(self._real(path)))

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """Replace or remove a file durably; a link inside the root is followed, not replaced. Raises: HostError."""
        if is_kernel_file(path):
            write_value(self._real(path), content)
        else:
            what = f"Writing {self.locate(path)}"
            in_time(what, lambda: self._write(path, content, mode), seconds=_WRITE_SECONDS)

    def find_program(self, name: str) -> str | None:
        """Return the absolute path of a program, or ``None``."""
        if not name or "/" in name or "\0" in name:
            return None
        candidates = (directory / name for directory in self._program_directories)
        return next((str(found) for found in candidates if found.is_file() and os.access(found, os.X_OK)), None)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        """Run a program to its end with a cleared environment. Raises: HostError."""
        return run_to_end(command, stdin=stdin, timeout_seconds=timeout_seconds)

    def _write(self, path: PurePosixPath, content: bytes | None, mode: int) -> None:
        real = self._real(path)
        if content is None:
            remove(real)
        else:
            replace(real, content, mode=mode)

    def _real(self, path: PurePosixPath) -> Path:
        located = self.locate(path)
        if _is_without_links(located):
            return located
        try:
            real = located.resolve()
        except (RuntimeError, OSError) as error:  # a loop of links; a name too long
            raise RefusedFileError(f"{located} cannot be resolved: {error}.") from error
        if not real.is_relative_to(self._root):
            raise RefusedFileError(f"{located} leads out of {self._root}, to {real}.")
        if real != located:
            _refuse_links_of_others(located)
        return real


def _is_without_links(path: Path) -> bool:
    """Say whether the kernel itself comes to a path, or to the last of it that is there, over no link at all.

    A few calls, where resolving is some for every part of the path, written in Python. False where it cannot be told.
    """
    if _O_PATH is None:
        return False
    place = str(path)
    while True:
        try:
            descriptor = os.open(place, _O_PATH | NOT_FOLLOWED | OURS_ALONE)
        except FileNotFoundError:
            place = os.path.dirname(place)  # noqa: PTH120 - as text, for this is asked of every file of every look
            continue
        except OSError:
            return False
        try:
            way = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - as above
            return way == place and not stat.S_ISLNK(os.fstat(descriptor).st_mode)
        except OSError:
            return False
        finally:
            os.close(descriptor)


def _refuse_links_of_others(path: Path) -> None:
    """Refuse a link on the way that neither root nor we made: a product's own user may write where its files lie.

    The kernel's ``protected_symlinks`` says so for directories like ``/tmp``; here it holds everywhere.
    """
    waiting, looked_at = [path], 0
    while waiting and looked_at < _MOST_LINKS:
        for part in (*reversed(waiting[-1].parents), waiting.pop()):
            if not part.is_symlink():
                continue
            looked_at += 1
            if part.lstat().st_uid not in (0, own_user()):
                raise RefusedFileError(f"{part} is a link that another user made.")
            waiting.append(part.parent / part.readlink())
