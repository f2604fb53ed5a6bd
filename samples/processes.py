"""Starting and ending the programs of the sample system."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PYTHON = sys.executable
SHIELDWALL = str(Path(PYTHON).with_name("shieldwall"))
AGENT = str(Path(PYTHON).with_name("shieldwall-agent"))


class SampleError(Exception):
    """The sample system cannot go on; the message says why and what to do."""


def run(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    good: Collection[int] = (0,),
) -> str:
    """Run a program to its end and return what it printed; ``good`` are the ways to end that are none to complain of.

    Raises:
        SampleError: It ended another way; with its own words.
    """
    done = subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=120, env={**os.environ, **(environment or {})}
    )
    if done.returncode not in good:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise SampleError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout.decode()


@dataclass(slots=True)
class Running:
    """Programs under way, ended in reverse order; each writes a log of its own."""

    logs: Path
    _processes: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)
    _files: list[IO[Any]] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Start a program; its output goes to ``logs/name.log``."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = (self.logs / f"{name}.log").open("ab")
        self._files.append(log)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C reaches this program alone, which then ends the others in order
        )
        self._processes.append((name, process))

    def check(self) -> None:
        """Raise SampleError when a program ended by itself."""
        for name, process in self._processes:
            if process.poll() is not None:
                raise SampleError(f"{name} ended with {process.returncode}; see {self.logs / (name + '.log')}.")

    def stop(self) -> None:
        """End every program, the last one first: politely, then surely."""
        for _, process in reversed(self._processes):
            _signal(process, signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait()
        for log in self._files:
            log.close()
        self._processes.clear()
        self._files.clear()


def wait_until(what: str, ready: Any, *, seconds: float, running: Running | None = None) -> None:
    """Ask ``ready`` until it says true. Raises: SampleError when it does not in time or a program ends meanwhile."""
    deadline = time.monotonic() + seconds
    while not ready():
        if running is not None:
            running.check()
        if time.monotonic() > deadline:
            raise SampleError(f"Waited {seconds:.0f} s in vain: {what}.")
        time.sleep(0.1)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        process.send_signal(number)
