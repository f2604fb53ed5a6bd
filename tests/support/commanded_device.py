"""A device as the person at its command line has it: a program of its own for each command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 60


@dataclass
class Device:
    """A device under a directory, driven by its command line."""

    root: Path
    state: Path
    package: Path

    def command(self, *words: str) -> list[str]:
        places = ["--root", str(self.root), "--state", str(self.state)]
        program = "from shieldwall.cli.shieldwall_agent import main; main()"
        return [sys.executable, "-c", program, *words, *places]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=SECONDS, check=False, env={"PATH": "/usr/bin"}
        )

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
