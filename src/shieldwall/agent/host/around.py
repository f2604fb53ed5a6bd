"""What stands around a host and passes everything on: whoever derives from it says only what is otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from shieldwall.agent.host.ports import Completed, Host


class AroundHost:
    """Implements ``Host`` by asking another one."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def root(self) -> Path:
        """See ``Host.root``."""
        return self._host.root

    def locate(self, path: PurePosixPath) -> Path:
        """See ``Host.locate``. Raises: RefusedFileError."""
        return self._host.locate(path)

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """See ``Host.read_file``. Raises: HostError."""
        return self._host.read_file(path)

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """See ``Host.write_file``. Raises: HostError."""
        self._host.write_file(path, content, mode=mode)

    def find_program(self, name: str) -> str | None:
        """See ``Host.find_program``."""
        return self._host.find_program(name)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        """See ``Host.run``. Raises: HostError."""
        return self._host.run(command, stdin=stdin, timeout_seconds=timeout_seconds)
