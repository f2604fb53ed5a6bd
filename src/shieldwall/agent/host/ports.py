"""What the agent needs of a machine, so that every test can hold one in its hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from msgspec import Struct


class Completed(Struct, frozen=True, kw_only=True):
    """A program that ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Host(Protocol):
    """One machine. Paths are absolute on the managed system; the host places them under its root."""

    @property
    def root(self) -> Path:
        """Directory that is ``/`` of the managed system."""
        ...

    def locate(self, path: PurePosixPath) -> Path:
        """Say where an absolute path of the managed system lies for this process."""
        ...

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """Return a file's content, or ``None`` when there is no such file.

        Raises:
            HostError: The file is there and cannot be read.
        """
        ...

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """Replace a file so that a crash leaves the old or the new content, on disk when this returns.

        ``None`` removes it. Owner and mode of an existing file are kept; ``mode`` is for a new one. Directories
        are made. A value of the kernel, below ``/proc`` or ``/sys``, is handed to the kernel in place.

        Raises:
            HostError: The disk is full, read-only or refuses.
        """
        ...

    def find_program(self, name: str) -> str | None:
        """Return the absolute path of a program, or ``None``."""
        ...

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        """Run a program to its end with a cleared environment; a list of words, never a shell line.

        Raises:
            HostError: It cannot be started or does not end in time (it is then killed).
        """
        ...
