"""A real clamd and a real gate on a tmpfs of a test's own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from tests.support.clamd import MARKER, Clamd

from shieldwall.agent.broker import settings as broker_settings
from shieldwall.agent.broker import standing
from shieldwall.agent.detections import spool
from shieldwall.agent.detections.model import Detection
from shieldwall.agent.detections.notices import Notice


@dataclass(kw_only=True)
class Guarded:
    """A directory that is the root of a system, watched by a gate that asks a real clamd."""

    root: Path
    clamd: Clamd
    broker: subprocess.Popen[bytes] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def configure(self, **changes: Any) -> None:
        """Write the gate's settings; names in Python's way."""
        self.settings.update(changes)
        wanted = {
            "mode": "block",
            "engine_socket": str(self.clamd.socket),
            "engine_databases": str(self.root / "var/lib/clamav"),
            **self.settings,
        }
        path = self.root / broker_settings.CONFIGURATION.relative_to("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(broker_settings.write(broker_settings.Settings(**wanted)))

    def start(self) -> None:
        """Start the gate and wait until it watches."""
        command = [sys.executable, "-I", "-m", "shieldwall.agent.broker.main", "--root", str(self.root)]
        self.broker = subprocess.Popen(command)
        eventually(lambda: standing.read(self.root) is not None)

    def reload(self) -> None:
        """Have the settings taken while it runs."""
        assert self.broker is not None
        before = standing.read(self.root)
        self.broker.send_signal(signal.SIGHUP)
        eventually(lambda: standing.read(self.root) != before)

    def stop(self) -> None:
        if self.broker is not None:
            self.broker.terminate()
            assert self.broker.wait(10) == 0
            self.broker = None

    def write(self, name: str, content: bytes = b"before " + MARKER + b" after") -> Path:
        """Write a file below ``srv``; by default one that is a threat."""
        path = self.root / "srv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def opens(self, path: Path, program: str = "/bin/cat", **how: Any) -> bool:
        """Open a file by another process, which is killed when it hangs."""
        done = subprocess.run([program, path], check=False, capture_output=True, timeout=20, **how)
        assert done.returncode == 0 or b"not permitted" in done.stderr, done.stderr
        return done.returncode == 0

    def detections(self) -> tuple[Detection, ...]:
        return spool.read(self.root / spool.DIRECTORY.relative_to("/"))

    def notices(self) -> list[Notice]:
        try:
            lines = (self.root / spool.DIRECTORY.relative_to("/") / "notices.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [msgspec.json.decode(line, type=Notice) for line in lines]

    def told(self, kind: str) -> bool:
        return any(notice.kind == kind for notice in self.notices())


@contextlib.contextmanager
def guarded(directory: Path, *, started: bool = True, extra: str = "", **settings: Any) -> Iterator[Guarded]:
    """Run clamd, and the gate over it, in a private tmpfs (see ``private_mounts``)."""
    assert os.getpid() < 100, "only in a namespace of its own"
    clamd = Clamd(root=directory)
    database = directory / "var/lib/clamav"
    database.mkdir(parents=True)
    (database / "test.ndb").write_text(f"Test.Marker:0:*:{MARKER.hex()}\n")
    clamd.configuration.parent.mkdir(parents=True)
    clamd.configuration.write_text(
        f"LocalSocket {clamd.socket}\nPidFile {directory}/clamd.pid\nDatabaseDirectory {database}\n"
        f"LogFile {directory}/clamd.log\nMaxThreads 4\nTemporaryDirectory {directory}\n{extra}"
    )
    clamd.start()
    system = Guarded(root=directory, clamd=clamd)
    system.configure(**settings)
    if started:
        system.start()
    yield system
    system.stop()


def eventually(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "It does not come true in time."
        time.sleep(0.02)
