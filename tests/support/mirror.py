"""A mirror of definitions on the loopback interface, and a system with a freshclam that knows only that."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shieldwall.agent.host.local import LocalHost

SIGNATURE = "Test.Marker:0:*:" + b"shieldwall-mirror-marker-0123456789".hex() + "\n"


@dataclass(kw_only=True)
class Mirror:
    """A web server for one directory that remembers what was asked of it."""

    directory: Path
    asked: list[str] = field(default_factory=list)
    _server: http.server.ThreadingHTTPServer | None = None
    _port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                asked.append(self.path)

        handler = partial(Handler, directory=str(self.directory))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextlib.contextmanager
def running_mirror(directory: Path) -> Iterator[Mirror]:
    """Serve a directory until the block ends."""
    directory.mkdir(parents=True, exist_ok=True)
    mirror = Mirror(directory=directory)
    mirror.start()
    try:
        yield mirror
    finally:
        mirror.stop()


@dataclass(frozen=True, kw_only=True)
class FreshclamSystem:
    """A root directory with a ``freshclam.conf`` and an empty directory of databases."""

    root: Path

    @property
    def host(self) -> LocalHost:
        return LocalHost(self.root, program_directories=[Path("/usr/sbin"), Path("/usr/bin")])

    @property
    def configuration(self) -> Path:
        return self.root / "etc/clamav/freshclam.conf"

    @property
    def database(self) -> Path:
        return self.root / "var/lib/clamav"

    @property
    def names(self) -> list[str]:
        """The databases that are there."""
        return sorted(path.name for path in self.database.iterdir() if path.suffix != ".dat")


@contextlib.contextmanager
def freshclam_system(extra: str = "") -> Iterator[FreshclamSystem]:
    """Make such a system until the block ends."""
    require_freshclam()
    system = FreshclamSystem(root=Path(tempfile.mkdtemp(prefix="freshclam-")).resolve())
    try:
        system.database.mkdir(parents=True)
        system.configuration.parent.mkdir(parents=True)
        system.configuration.write_text(
            "# a freshclam of tests\n"
            f"DatabaseDirectory {system.database}\n"
            "DatabaseOwner root\n"
            "MaxAttempts 1\n"
            "ConnectTimeout 5\n"
            "DatabaseMirror 127.0.0.1:9\n"
            f"{extra}"
        )
        yield system
    finally:
        shutil.rmtree(system.root, ignore_errors=True)


def require_freshclam() -> None:
    """Skip the test where freshclam is not installed, but never where the whole suite must run."""
    if Path("/usr/bin/freshclam").exists():
        return
    message = "freshclam is not installed; apt-get install clamav-freshclam"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
