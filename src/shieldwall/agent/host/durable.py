"""The steps of a durable write, as each system takes them.

On Windows a move with ``MOVEFILE_WRITE_THROUGH`` returns once it is on disk, and directories cannot be synced. Files
have no owner and no mode there that we would hand on: they take the access list of the directory that they lie in.
Source: fsync(2), rename(2); Microsoft, *MoveFileExW*.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from shieldwall.agent.host.opening import FOLDER, NEVER_WAITS, NOT_FOLLOWED, OURS_ALONE

if sys.platform == "win32":
    import pywintypes
    import win32file

    def take_after(descriptor: int, existing: os.stat_result | None, mode: int) -> None:
        """Give an open file owner and mode of the one that it replaces, or the mode of a new one."""

    def move(temporary: Path, path: Path) -> None:
        """Put a file in the place of another; when this returns, that is on disk or about to be. Raises: OSError."""
        flags = win32file.MOVEFILE_REPLACE_EXISTING | win32file.MOVEFILE_WRITE_THROUGH
        try:
            win32file.MoveFileEx(str(temporary), str(path), flags)
        except pywintypes.error as error:
            raise OSError(0, error.strerror, str(path), error.winerror) from error

    def sync_directory(path: Path) -> None:
        """Have on disk which names a directory holds."""

    def sync(path: Path) -> None:
        """Have on disk what a file holds. Raises: OSError."""
        _sync(path, os.O_RDWR | NEVER_WAITS | NOT_FOLLOWED)

else:

    def take_after(descriptor: int, existing: os.stat_result | None, mode: int) -> None:
        """Give an open file owner and mode of the one that it replaces, or the mode of a new one. Raises: OSError."""
        if existing is not None and (existing.st_uid, existing.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, existing.st_uid, existing.st_gid)
        os.fchmod(descriptor, mode if existing is None else stat.S_IMODE(existing.st_mode))

    def move(temporary: Path, path: Path) -> None:
        """Put a file in the place of another; ``sync_directory`` has it on disk. Raises: OSError."""
        temporary.replace(path)

    def sync_directory(path: Path) -> None:
        """Have on disk which names a directory holds; a link to one is followed, as by whatever is put into it.

        Raises:
            OSError: The disk refuses.
        """
        _sync(path, os.O_RDONLY | FOLDER)

    def sync(path: Path) -> None:
        """Have on disk what a file holds. Raises: OSError."""
        _sync(path, os.O_RDONLY | NEVER_WAITS | NOT_FOLLOWED)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | OURS_ALONE)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
