"""Walking over files whose owners would rather not have them looked at."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shieldwall.agent.scanning import walking
from shieldwall.agent.scanning.walking import Walk


@contextlib.contextmanager
def leased(path: Path) -> Iterator[None]:
    """Hold a lease on a file, and give it back only when the kernel asks for it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            descriptor = os.open(path, os.O_RDONLY)
            signal.signal(signal.SIGIO, lambda *_: fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK))
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            os.write(writer, b"+")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    try:
        if os.read(reader, 1) != b"+":
            pytest.skip("This file system has no leases.")
        yield
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def walked(walk: Walk, path: Path) -> list[bytes]:
    found = []
    for file in walk.over(str(path)):
        found.append(os.pread(file.descriptor, 64, 0))
        file.close()
    return found


def test_a_lease_keeps_no_file_from_being_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(b"content")
    walk = Walk(is_excluded=lambda _: False, borders=frozenset())

    with leased(path):
        assert walked(walk, path) == [b"content"]
    assert (walk.waits, walk.unreadable) == (1, 0)


def test_a_walk_does_not_wait_for_ever_many_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_MOST_WAITS", 0)
    path = tmp_path / "bad"
    path.write_bytes(b"content")
    walk = Walk(is_excluded=lambda _: False, borders=frozenset())

    with leased(path):
        assert walked(walk, path) == []
    assert walk.unreadable == 1
    assert walk.reasons == [f"{path}: {os.strerror(errno.EAGAIN)}"]


def test_what_became_a_pipe_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bad"
    path.write_bytes(b"content")

    def swapped(_parent: int, _name: str) -> int:
        path.unlink()
        os.mkfifo(path)
        raise BlockingIOError(errno.EAGAIN, "leased")

    monkeypatch.setattr(walking, "_open_quietly", swapped)
    walk = Walk(is_excluded=lambda _: False, borders=frozenset())

    assert walked(walk, path) == []
    assert walk.unreadable == 1
