"""What whoever runs as clamd's user can put in our way, and what it gets."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.private_mounts import in_private_mounts
from tests.support.silent_mounts import silent

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import client, command_lines, daemon


@pytest.mark.parametrize("stands_there", ["pipe", "endless", "number", "nothing"])
def test_whatever_stands_in_the_place_of_the_pid_file_holds_nobody(tmp_path: Path, stands_there: str) -> None:
    place = tmp_path / "clamd.pid"
    match stands_there:
        case "pipe":
            os.mkfifo(place)
        case "endless":
            place.symlink_to("/dev/zero")
        case "number":
            place.write_text("9" * 5000)
        case _:
            pass

    assert daemon.find(LocalHost(tmp_path), f"PidFile {place}\n".encode()) is None


@pytest.fixture
def dripping(tmp_path: Path) -> Iterator[Path]:
    """Listen, and say a byte now and then for as long as anybody listens."""
    path, over = tmp_path / "socket", threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not over.wait(0.02):
                    try:
                        connection.send(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        yield path
        over.set()
        thread.join()


def test_an_answer_that_does_not_end_is_none(dripping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_WHOLE_ANSWER_SECONDS", 0.2)

    with pytest.raises(client.NoAnswerError, match="does not end"):
        client.ask(dripping, "PING")


def test_a_program_is_started_only_where_nobody_else_can_put_another_in_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    program = folder / "clamd"
    program.write_bytes(b"")
    program.chmod(0o755)
    daemon.check_program(program)

    folder.chmod(0o777)
    with pytest.raises(ProviderError, match="bin can be changed"):
        daemon.check_program(program)
    folder.chmod(0o1777)
    daemon.check_program(program)
    program.rename(folder / "other")
    program.symlink_to("other")
    daemon.check_program(program)
    if os.geteuid() != 0:
        pytest.skip("Only root can make links of others.")
    os.lchown(program, 64_001, 64_001)
    with pytest.raises(ProviderError, match="clamd can be changed"):
        daemon.check_program(program)


@pytest.mark.root
@in_private_mounts()
def test_a_clamd_that_names_what_never_answers_holds_nobody(directory: Path) -> None:
    host, place = LocalHost(directory), directory / "clamd.pid"
    with silent(directory / "mute") as mute, _called_clamd(directory, f"--config-file={mute}/clamd.conf") as pid:
        place.write_text(str(pid))
        assert _took(lambda: daemon.find(host, f"PidFile {place}\n".encode())) is None
        assert _took(lambda: daemon.find(host, f"PidFile {mute}/clamd.pid\n".encode())) is None
        with pytest.raises(TimeoutError):
            client.ask(mute / "clamd.ctl", "PING")
        with pytest.raises(ProviderError, match="is served by a program"):
            daemon.check_program(mute / "bin/clamd")


def test_a_clamd_whose_words_cannot_be_read_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may put them into memory that is a file of its own file system, which does not answer."""
    never, asked = threading.Event(), []

    def read(pid: int) -> bytes:
        asked.append(pid)
        return bytes(never.wait(30))

    monkeypatch.setattr(command_lines, "_read", read)
    monkeypatch.setattr(command_lines, "_LOOK_SECONDS", 0.1)
    (tmp_path / "clamd.pid").write_text(str(os.getpid()))
    monkeypatch.setattr(daemon, "_NAME", Path("/proc/self/exe").readlink().name)
    try:
        assert _took(lambda: daemon.find(LocalHost(tmp_path), f"PidFile {tmp_path}/clamd.pid\n".encode())) is None
        assert asked == [os.getpid()]
    finally:
        never.set()


@in_private_mounts()
def test_a_clamd_that_names_our_file_by_a_link_is_found(directory: Path) -> None:
    host, place = LocalHost(directory), directory / "clamd.pid"
    host.write_file(daemon.CONFIGURATION, b"")
    (directory / "link.conf").symlink_to(host.locate(daemon.CONFIGURATION))
    with _called_clamd(directory, f"--config-file={directory}/link.conf") as pid:
        place.write_text(str(pid))
        found = daemon.find(host, f"PidFile {place}\n".encode())
        assert found is not None
        assert found.pid == pid


@contextlib.contextmanager
def _called_clamd(directory: Path, word: str) -> Iterator[int]:
    """Run a program of that name with one word on its command line."""
    program, script = directory / "clamd", directory / "sleep.py"
    shutil.copy(Path("/usr/bin/python3").resolve(), program)
    script.write_text("import time\nprint(flush=True)\ntime.sleep(80)\n")
    with subprocess.Popen([program, "-S", script, word], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"  # so it has its name by now
        try:
            yield process.pid
        finally:
            process.kill()


def _took(look: Callable[[], Any]) -> Any:
    """Return what was found, in time."""
    begun = time.monotonic()
    found = look()
    assert time.monotonic() - begun < 60
    return found
