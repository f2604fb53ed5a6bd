"""A log that never grows beyond its size: when half of it is full, the older half goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MODE: Final = 0o640


class BoundedLog:
    """Two files, ``name.log`` and ``name.log.1``, that together never hold more than ``most_bytes``."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        """Go on with what is there."""
        self._path = path
        self._half = most_bytes // 2
        self._file = self._opened()
        self._size = os.fstat(self._file).st_size

    def write(self, line: bytes) -> None:
        """Append a line; a line longer than half of the log is left out. Raises: OSError, the disk being full, say."""
        if len(line) > self._half:
            return
        if self._size + len(line) > self._half:
            self._turn()
        written = 0
        while written < len(line):
            written += os.write(self._file, line[written:])
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _turn(self) -> None:
        os.close(self._file)
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._opened()
        self._size = 0

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
