"""A machine in memory: files in a dictionary, programs as functions, and a fault wherever a test wants one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.kernel_files import KernelValueError, is_kernel_file
from shieldwall.agent.host.ports import Completed

Program = Callable[[Sequence[str], bytes], Completed]
"""Takes the words after the program's name and its standard input."""


class MemoryHost:
    """A host without a disk. ``before`` is called ahead of each operation and may raise to simulate a fault."""

    def __init__(
        self,
        files: Mapping[PurePosixPath, bytes] | None = None,
        *,
        programs: Mapping[str, Program] | None = None,
        before: Callable[[str], None] = lambda _operation: None,
    ) -> None:
        self.files: dict[PurePosixPath, bytes] = dict(files or {})
        self.programs: dict[str, Program] = dict(programs or {})
        self.before = before
        self.operations: list[str] = []

    @property
    def root(self) -> Path:
        return Path("/nonexistent")

    def locate(self, path: PurePosixPath) -> Path:
        return self.root.joinpath(*path.parts[1:])

    def read_file(self, path: PurePosixPath) -> bytes | None:
        return self.files.get(path)

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        del mode
        self._begin(f"write {path}")
        if is_kernel_file(path) and (content is None) == (path in self.files):
            raise KernelValueError(f"{path} is a value of the kernel: it is neither made nor removed.")
        if content is None:
            self.files.pop(path, None)
        else:
            self.files[path] = content

    def find_program(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.programs else None

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        del timeout_seconds
        self._begin(f"run {' '.join(command)}")
        program = self.programs.get(command[0].removeprefix("/usr/bin/"))
        if program is None:
            raise ProgramError(f"{command[0]} cannot be started: no such file.")
        return program(command[1:], stdin)

    def _begin(self, operation: str) -> None:
        self.operations.append(operation)
        self.before(operation)
