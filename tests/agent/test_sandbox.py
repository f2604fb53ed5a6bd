"""What a confined process can still do: tried in processes of their own, for nobody gets out again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shieldwall.agent.notifying import Manager, passed_listener
from shieldwall.agent.sandbox import agent_files, landlock_version

CONFINED = """
import os, signal, socket, sys
from pathlib import Path
from shieldwall.agent.sandbox import Files, confine, agent_files
state, runtime, outside = (Path(word) for word in sys.argv[1:4])
print("landlock", confine(agent_files(state, runtime=runtime)))
def tried(name, act):
    try:
        act()
        print(name, "yes")
    except OSError as error:
        print(name, "no")
tried("write-state", lambda: (state / "file").write_text("x"))
tried("replace-state", lambda: (state / "file").replace(state / "other"))
tried("read-state", lambda: (state / "other").read_text())
tried("write-outside", lambda: (outside / "new").write_text("x"))
tried("truncate-outside", lambda: os.truncate(outside / "secret", 0))
tried("read-outside", lambda: (outside / "secret").read_text())
tried("link-outside", lambda: os.link(outside / "secret", state / "link"))
tried("remove-outside", lambda: (outside / "secret").unlink())
def run():
    import subprocess
    subprocess.run([outside / "program"], check=True)
tried("run-outside", run)
tried("read-etc", lambda: Path("/etc/passwd").read_text())
tried("read-own-code", lambda: Path(socket.__file__).read_bytes())
def listen():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
tried("listen", listen)
def resolve():
    socket.getaddrinfo("localhost", 80)
tried("resolve", resolve)
tried("signal", lambda: os.kill(os.getppid(), 0))
tried("privileges", lambda: None if "NoNewPrivs:\\t1" in Path("/proc/self/status").read_text() else os.stat("/none"))
"""


@pytest.fixture
def said(tmp_path: Path) -> dict[str, str]:
    state, runtime, outside = (tmp_path / name for name in ("state", "run", "outside"))
    for place in (state, runtime, outside):
        place.mkdir()
    (outside / "secret").write_text("secret")
    (outside / "program").write_text("#!/bin/sh\nexit 0\n")
    (outside / "program").chmod(0o755)
    words = [sys.executable, "-I", "-c", CONFINED, *map(str, (state, runtime, outside))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert (outside / "secret").read_text() == "secret"
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")
def test_the_agent_reaches_what_it_needs_and_nothing_else(said: dict[str, str]) -> None:
    assert int(said.pop("landlock")) == landlock_version()
    expected = {
        "write-state": "yes",
        "replace-state": "yes",
        "read-state": "yes",
        "write-outside": "no",
        "read-outside": "no",
        "link-outside": "no",
        "remove-outside": "no",
        "run-outside": "no",
        "read-etc": "yes",
        "read-own-code": "yes",
        "resolve": "yes",
        "privileges": "yes",
    }
    if landlock_version() >= 3:
        expected["truncate-outside"] = "no"
    if landlock_version() >= 4:
        expected["listen"] = "no"
    if landlock_version() >= 6:
        expected["signal"] = "no"
    assert {name: said[name] for name in expected} == expected


def test_files_that_the_agent_was_told_to_use_are_readable(tmp_path: Path) -> None:
    files = agent_files(tmp_path, runtime=tmp_path, own=(Path("/etc/pki/web-01.key"),))

    assert Path("/etc/pki") in files.read
    assert Path("/etc/pki") not in files.write
    assert files.write[:2] == (tmp_path, tmp_path)


def test_a_manager_hears_what_it_is_told(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(10)
        Manager.of({"NOTIFY_SOCKET": str(address)}).tell("READY=1")
        assert manager.recv(100) == b"READY=1"
    Manager.of({"NOTIFY_SOCKET": str(address)}).tell("nobody listens any more")
    Manager.of({}).tell("nor was there anybody")


def test_a_manager_in_the_abstract_hears_as_well() -> None:
    name = f"shieldwall-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        manager.settimeout(10)
        Manager.of({"NOTIFY_SOCKET": f"@{name}"}).tell("WATCHDOG=1")
        assert manager.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": "7", "LISTEN_FDS": "2"}, {"LISTEN_FDS": "1"}],
)
def test_a_socket_that_was_not_passed_to_us_is_not_taken(environment: dict[str, str]) -> None:
    assert passed_listener(environment, 7) is None


def test_a_socket_that_was_passed_is_listened_on(tmp_path: Path) -> None:
    path = tmp_path / "passed.sock"
    program = """
import os, sys
from shieldwall.agent.notifying import passed_listener
os.dup2(int(sys.argv[1]), 3)
listener = passed_listener({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, 7)
connection, _ = listener.accept()
connection.send(b"here")
print(os.get_inheritable(listener.fileno()))
"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        words = [sys.executable, "-I", "-c", program, str(listener.fileno())]
        with subprocess.Popen(words, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, text=True) as process:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(30)
                client.connect(str(path))
                assert client.recv(10) == b"here"
            out, _ = process.communicate(timeout=30)
        assert out.strip() == "False"
