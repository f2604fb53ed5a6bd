"""Programs that go on telling: one line whenever something changes, until they are stopped."""

from __future__ import annotations

import os
import subprocess  # noqa: TID251 - the edge shell: programs that do not end by themselves
from collections.abc import Sequence
from typing import Final

from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.processes import ENVIRONMENT

_CHUNK: Final = 64 * 1024
_PATIENCE_SECONDS: Final = 5.0


class Stream:
    """What a running program prints. Its errors are not kept."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start the program. Raises: ProgramError."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a list of words from providers, never a shell line
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                close_fds=True,
            )
        except OSError as error:
            raise ProgramError(f"{command[0]} cannot be started: {error.strerror}.") from error
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)

    def fileno(self) -> int:
        """Return what to wait for."""
        return self._output.fileno()

    def read(self) -> bytes | None:
        """Return what was printed since, ``None`` when the program has ended. Never waits."""
        try:
            return os.read(self._output.fileno(), _CHUNK) or None
        except BlockingIOError:
            return b""

    def stop(self) -> None:
        """End the program and wait for that; one that has ended already is fine."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
