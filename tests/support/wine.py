"""Wine with a prefix of its own: a registry that is nobody's, asked by its own ``reg.exe``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.registry.reg_exe import RegExe

_SECONDS: Final = 120


@dataclass(frozen=True)
class Wine:
    """One prefix."""

    program: str
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "WINEPREFIX": str(self.directory / "prefix"),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
            "WINEARCH": "win64",
            "HOME": str(self.directory),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
        }

    def run(self, words: Sequence[str]) -> Completed:
        # What Wine starts on the side lives on with the same outputs, so nobody may wait for the end of a pipe.
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            command = [self.program, *words]
            done = subprocess.run(
                command, env=self.environment, stdout=stdout, stderr=stderr, timeout=_SECONDS, check=False
            )
            stdout.seek(0)
            stderr.seek(0)
            return Completed(returncode=done.returncode, stdout=stdout.read(), stderr=stderr.read())

    def end(self) -> None:
        """End everything that runs in this prefix, and nothing in any other."""
        subprocess.run(["wineserver", "--kill", "--wait"], env=self.environment, timeout=_SECONDS, check=False)

    def registry(self) -> RegExe:
        scratch = self.directory / "scratch"
        scratch.mkdir(exist_ok=True)
        return RegExe(self.run, scratch, program=("reg",), spelled=lambda path: "Z:" + str(path).replace("/", "\\"))


def made_in(directory: Path) -> Wine:
    """Make a prefix. That there is a Wine is what the mark ``wine`` is for."""
    program = shutil.which("wine")
    assert program is not None
    wine = Wine(program, directory)
    (directory / "prefix").mkdir()
    # A server that ended with each program would be started by the next while it still ends.
    server = ["wineserver", "--persistent"]
    subprocess.run(server, env=wine.environment, stdout=subprocess.DEVNULL, timeout=_SECONDS, check=True)
    wine.run(["wineboot", "--init"])
    return wine
