"""A machine as it would be, had some files been written: what a component is shown when a disk refuses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from shieldwall.agent.host.ports import Completed, Host


class AsWritten:
    """A host on which some files have other contents than on disk. Nothing is written to those."""

    def __init__(self, host: Host, files: Mapping[PurePosixPath, bytes | None]) -> None:
        self._host = host
        self._files = dict(files)

    @property
    def root(self) -> Path:
        """See ``Host.root``."""
        return self._host.root

    def locate(self, path: PurePosixPath) -> Path:
        """See ``Host.locate``."""
        return self._host.locate(path)

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """Return what the file would hold. Raises: HostError."""
        return self._files[path] if path in self._files else self._host.read_file(path)

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """See ``Host.write_file``. Raises: HostError."""
        self._host.write_file(path, content, mode=mode)
        self._files.pop(path, None)

    def find_program(self, name: str) -> str | None:
        """See ``Host.find_program``."""
        return self._host.find_program(name)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        """See ``Host.run``. Raises: HostError."""
        return self._host.run(command, stdin=stdin, timeout_seconds=timeout_seconds)
