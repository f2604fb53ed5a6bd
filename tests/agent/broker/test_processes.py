"""Who is taken for the scanner, and let pass."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shieldwall.agent.broker.processes import SCAN_PROCESS, Process, is_engine, look_at

ENGINE_UID = 4711


@contextlib.contextmanager
def child(root: Path | None = None, name: str = "innocent") -> Iterator[int]:
    """Run a process that calls itself ``name``, under a root of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            Path("/proc/self/comm").write_text(name)
            if root is not None:
                os.chroot(root)
            os.write(writer, b"+")
            signal.pause()
        finally:
            os._exit(1)
    try:
        assert os.read(reader, 1) == b"+"
        yield pid
    finally:
        os.close(reader)
        os.close(writer)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root may change its root.")


@needs_root
def test_our_own_scan_is_spared_and_not_what_a_container_calls_so(tmp_path: Path) -> None:
    with child(name=SCAN_PROCESS) as scan:
        assert is_engine(look_at(scan), None)
    with child(name="other") as other:
        assert not is_engine(look_at(other), None)
    with child(tmp_path, name=SCAN_PROCESS) as contained:
        assert look_at(contained).uid == 0
        assert not is_engine(look_at(contained), None)


@needs_root
@pytest.mark.parametrize("uid", [0, ENGINE_UID])
def test_the_engine_is_not_what_a_container_calls_so(tmp_path: Path, uid: int) -> None:
    program = tmp_path / "clamd"
    program.write_bytes(b"")
    program.chmod(0o755)

    def at(pid: int, path: Path) -> bool:
        return is_engine(Process(pid=pid, uid=uid, program=str(path)), ENGINE_UID)

    with child() as ours:
        assert at(ours, program)
        assert at(ours, tmp_path / "replaced/clamd") == (uid == 0)
    with child(tmp_path) as contained:
        assert not at(contained, program)
        assert not at(contained, tmp_path / "replaced/clamd")


def test_of_a_process_that_is_gone_nobody_knows_anything() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

    assert not is_engine(Process(pid=pid, uid=0, program="/usr/sbin/clamd"), None)
