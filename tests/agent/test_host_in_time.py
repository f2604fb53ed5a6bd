"""Looks at what others control: they end in time, and those that hang stay few."""

from __future__ import annotations

import gc
import os
import resource
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from tests.support.private_mounts import in_private_mounts
from tests.support.private_namespaces import privately
from tests.support.silent_mounts import silent

from shieldwall.agent.host import in_time as looking
from shieldwall.agent.host.errors import HostError, ProgramError, RefusedFileError
from shieldwall.agent.host.in_time import HungError, in_time
from shieldwall.agent.host.local import LocalHost


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event for which looks wait; whatever waits goes on when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_what_was_found_or_went_wrong_comes_back_as_it_was() -> None:
    assert in_time("a", lambda: 7) == 7
    with pytest.raises(RefusedFileError, match="odd"):
        in_time("a", lambda: _raise(RefusedFileError("odd")))


@pytest.mark.root
def test_where_no_thread_can_be_started_the_machine_refuses(tmp_path: Path) -> None:
    """Whoever looks knows what to do about a machine that refuses, and not what to do about anything else."""
    (tmp_path / "file").write_bytes(b"x")

    def pressed() -> None:
        looking._idle.clear()
        os.setuid(65_534)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        with pytest.raises(HostError, match="Nothing can be looked at"):
            LocalHost(tmp_path).read_file(PurePosixPath("/file"))

    tmp_path.chmod(0o755)
    privately(pressed)


def test_a_look_that_hangs_is_left_and_not_begun_again_until_it_ends(never: threading.Event) -> None:
    begun: list[int] = []

    def look() -> bool:
        begun.append(1)
        return never.wait(30)

    with pytest.raises(HungError, match=r"a did not answer within 0\.05 seconds"):
        in_time("a", look, seconds=0.05)
    with pytest.raises(HungError, match="still does not answer"):
        in_time("a", look, seconds=0.05)
    assert len(begun) == 1
    assert in_time("b", lambda: 1) == 1

    never.set()
    _wait_until_nothing_hangs()
    assert in_time("a", look, seconds=5) is True


def test_one_thread_looks_for_all_that_end_and_keeps_nothing_of_them() -> None:
    class Found:
        """Something that a look found."""

    looker = in_time("a", threading.get_ident)
    with pytest.raises(RefusedFileError) as refused:
        in_time("a", lambda: _raise(RefusedFileError("odd")))
    found, error = weakref.ref(in_time("a", Found)), weakref.ref(refused.value)
    del refused

    assert in_time("a", threading.get_ident) == looker != threading.get_ident()
    gc.collect()  # an error and the frames that it passed hold each other
    assert (found(), error()) == (None, None)


def test_the_child_of_a_fork_looks_by_itself() -> None:
    assert in_time("a", lambda: 7) == 7  # with a thread that no child has
    child = os.fork()
    if child == 0:
        os._exit(in_time("a", lambda: 7, seconds=20))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7


def test_however_much_is_made_to_hang_no_more_threads_do(never: threading.Event) -> None:
    before = threading.active_count()
    for number in range(looking.MOST_LEFT_BEHIND + 5):
        with pytest.raises(HungError):
            in_time(f"look {number}", lambda: never.wait(30), seconds=0.001)
    assert threading.active_count() - before <= looking.MOST_LEFT_BEHIND
    never.set()
    _wait_until_nothing_hangs()
    assert in_time("a", lambda: 1) == 1


@pytest.mark.root
@in_private_mounts()
def test_files_and_programs_on_a_file_system_that_never_answers_hold_nobody(directory: Path) -> None:
    host = LocalHost(directory)
    looking_before = time.monotonic()
    with silent(directory / "mute"):
        with pytest.raises(HungError, match="did not answer"):
            in_time("mute", (directory / "mute/file").exists, seconds=0.3)
        with pytest.raises(HungError, match="did not answer"):
            host.read_file(PurePosixPath("/mute/file"))
        with pytest.raises(HungError, match="still does not answer"):
            host.read_file(PurePosixPath("/mute/file"))
        with pytest.raises(ProgramError, match="did not end"):
            host.run(["/bin/cat", str(directory / "mute/file")], timeout_seconds=0.5)
        assert host.read_file(PurePosixPath("/other")) is None
    assert time.monotonic() - looking_before < 40


def _raise(error: Exception) -> None:
    raise error


def _wait_until_nothing_hangs() -> None:
    for thread in threading.enumerate():
        if getattr(thread, "is_left_behind", False):
            thread.join(10)
