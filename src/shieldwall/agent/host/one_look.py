"""A machine at one moment: whoever asks about a hundred settings one after the other reads each file once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from shieldwall.agent.host.around import AroundHost
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Completed, Host


class OneLook(AroundHost):
    """A host whose files and programs are looked at once each, until something is written or run.

    To be thrown away after the look: nothing in it says whether the machine is another by now.
    """

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._files: dict[PurePosixPath, bytes | HostError | None] = {}
        self._programs: dict[str, str | None] = {}

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """Return what the file held when it was asked for first. Raises: HostError: as it was then."""
        if path not in self._files:
            try:
                self._files[path] = super().read_file(path)
            except HostError as error:  # one that hangs is waited for once
                self._files[path] = error
        found = self._files[path]
        if isinstance(found, HostError):
            raise found
        return found

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """See ``Host.write_file``. Raises: HostError."""
        self.forget()
        super().write_file(path, content, mode=mode)

    def find_program(self, name: str) -> str | None:
        """See ``Host.find_program``."""
        if name not in self._programs:
            self._programs[name] = super().find_program(name)
        return self._programs[name]

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        """See ``Host.run``. Raises: HostError."""
        self.forget()
        return super().run(command, stdin=stdin, timeout_seconds=timeout_seconds)

    def forget(self) -> None:
        """Let go of what was seen."""
        self._files.clear()
        self._programs.clear()
