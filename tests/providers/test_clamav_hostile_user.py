"""What whoever runs as clamd's user can put in our way, and what it gets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import client, daemon


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
