"""A machine as it would be, had some files been written: what a component is shown when a disk refuses them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from shieldwall.agent.host.around import AroundHost
from shieldwall.agent.host.ports import Host


class AsWritten(AroundHost):
    """A host on which some files have other contents than on disk. Nothing is written to those."""

    def __init__(self, host: Host, files: Mapping[PurePosixPath, bytes | None]) -> None:
        super().__init__(host)
        self._files = dict(files)

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """Return what the file would hold. Raises: HostError."""
        return self._files[path] if path in self._files else super().read_file(path)

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """See ``Host.write_file``. Raises: HostError."""
        super().write_file(path, content, mode=mode)
        self._files.pop(path, None)
