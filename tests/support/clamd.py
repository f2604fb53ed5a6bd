"""A real clamd for tests, with a database of a few bytes, in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.clamav import client

MARKER = b"shieldwall-test-marker-" + b"0123456789"
"""Harmless text that the test database knows as a threat."""


@dataclass(frozen=True, kw_only=True)
class Clamd:
    """A system whose root is a directory, with a clamd that runs on its configuration."""

    root: Path

    @property
    def host(self) -> LocalHost:
        return LocalHost(self.root, program_directories=[Path("/usr/sbin"), Path("/usr/bin")])

    @property
    def socket(self) -> Path:
        return self.root / "clamd.sock"

    @property
    def configuration(self) -> Path:
        return self.root / "etc/clamav/clamd.conf"

    @property
    def pid(self) -> int:
        return int((self.root / "clamd.pid").read_text())

    def detects(self, path: Path) -> bool:
        """Ask clamd to scan a file or a directory."""
        answer = client.ask(self.socket, f"SCAN {path}")
        assert answer.endswith(("FOUND", "OK", "Excluded")), answer
        return answer.endswith("FOUND")

    def infected(self, name: str) -> Path:
        """Make a file that holds the marker."""
        path = self.root / "srv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"before " + MARKER + b" after")
        return path

    def start(self, program: Path = Path("/usr/sbin/clamd")) -> None:
        said = self.root / "clamd.said"
        with said.open("wb") as output:
            parent = subprocess.Popen([program, "-c", self.configuration], stdout=output, stderr=output)
        # A child that is ready sends SIGINT to its parent. On a busy machine it comes too early, and the parent dies or
        # waits for ever: the answer alone says that clamd runs.
        try:
            deadline = time.monotonic() + 60
            while not client.is_alive(self.socket):
                assert parent.poll() in (None, 0, -signal.SIGINT), said.read_text()
                assert time.monotonic() < deadline, "clamd does not answer"
                time.sleep(0.02)
            with contextlib.suppress(subprocess.TimeoutExpired):
                parent.wait(1)
        finally:
            parent.kill()
            parent.wait()

    def stop(self) -> None:
        """End the clamd of this directory, by its number, and wait until it is gone."""
        with contextlib.suppress(OSError, ValueError):
            pid = self.pid
            handle = os.pidfd_open(pid)
            try:
                if str(self.configuration).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    signal.pidfd_send_signal(handle, signal.SIGTERM)
                    poll = select.poll()
                    poll.register(handle, select.POLLIN)
                    if not poll.poll(20_000):
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def require_clamd() -> None:
    """Skip the test where clamd is not installed, but never where the whole suite must run."""
    if Path("/usr/sbin/clamd").exists():
        return
    message = "clamd is not installed; apt-get install clamav-daemon"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def running_clamd(extra: str = "") -> Iterator[Clamd]:
    """Run a clamd until the block ends; its directory has a short name because sockets need one."""
    require_clamd()
    clamd = Clamd(root=Path(tempfile.mkdtemp(prefix="clamd-")).resolve())
    try:
        database = clamd.root / "var/lib/clamav"
        database.mkdir(parents=True)
        (database / "test.ndb").write_text(f"Test.Marker:0:*:{MARKER.hex()}\n")
        clamd.configuration.parent.mkdir(parents=True)
        clamd.configuration.write_text(
            "# a clamd of tests\n"
            f"LocalSocket {clamd.socket}\n"
            f"PidFile {clamd.root}/clamd.pid\n"
            f"DatabaseDirectory {database}\n"
            f"LogFile {clamd.root}/clamd.log\n"
            "MaxThreads 3\n"
            f"{extra}"
        )
        clamd.start()
        yield clamd
    finally:
        clamd.stop()
        shutil.rmtree(clamd.root, ignore_errors=True)
