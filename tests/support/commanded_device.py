"""A device as the person at its command line has it: a program of its own for each command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.loaded_program import LoadedProgram

SECONDS: Final = 60
_ENVIRONMENT: Final = {"PATH": "/usr/bin"}
SHIELDWALL_AGENT: Final = LoadedProgram(
    "shieldwall.cli.shieldwall_agent:main",
    _ENVIRONMENT,
    rehearsed=["status", "--state", os.devnull],
    besides="rich.table",
)


@dataclass
class Device:
    """A device under a directory, driven by its command line."""

    root: Path
    state: Path
    package: Path

    def command(self, *words: str) -> list[str]:
        program = "from shieldwall.cli.shieldwall_agent import main; main()"
        return [sys.executable, "-c", program, *words, *self._places]

    @property
    def _places(self) -> list[str]:
        return ["--root", str(self.root), "--state", str(self.state)]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return SHIELDWALL_AGENT([*words, *self._places], _ENVIRONMENT)

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(self.command("run"), stderr=subprocess.PIPE, text=True, env={})
        try:
            assert process.stderr is not None
            assert "checkedIn" in process.stderr.readline(), "the first thing it does is to check in"
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SECONDS)
