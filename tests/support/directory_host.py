"""A machine whose root is a directory, with programs of the test's choice."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from shieldwall.agent.host.ports import Completed
from shieldwall.contract.errors import ShieldwallError


class ProgramFailedError(ShieldwallError):
    code = "hostFailed"
    remedy = "Look at the program."


@dataclass(frozen=True, kw_only=True)
class DirectoryHost:
    root: Path
    programs: Mapping[str, str] = field(default_factory=dict)

    def locate(self, path: PurePosixPath) -> Path:
        return self.root / path.relative_to("/")

    def read_file(self, path: PurePosixPath) -> bytes | None:
        place = self.locate(path)
        return place.read_bytes() if place.exists() else None

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        place = self.locate(path)
        if content is None:
            place.unlink(missing_ok=True)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        is_new = not place.exists()
        place.write_bytes(content)
        if is_new:
            place.chmod(mode)

    def find_program(self, name: str) -> str | None:
        return self.programs.get(name)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                timeout=timeout_seconds,
                check=False,
                env={"PATH": "/usr/bin:/bin"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProgramFailedError(str(error)) from None
        return Completed(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)
