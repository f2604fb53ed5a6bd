"""The supervisor over real processes: small Python programs stand for the server's."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shieldwall.server.observing.replacements import Cause
from shieldwall.server.processes import supervise as module
from shieldwall.server.processes.supervise import (
    MOST_KILLED,
    NotReadyError,
    ProcessEndedError,
    ProcessPlan,
    supervise,
)

PATIENT = """
import pathlib, signal, sys
home, name = pathlib.Path(sys.argv[1]), sys.argv[2]
signal.signal(signal.SIGTERM, lambda *_: (home.joinpath("ended").open("a").write(name + "\\n"), sys.exit(0)))
home.joinpath(name).write_text(str(__import__("os").getpid()))
while True:
    signal.pause()
"""
STUBBORN = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1], sys.argv[2]).write_text(str(__import__("os").getpid()))
while True:
    signal.pause()
"""
SUPERVISOR = """
import asyncio, pathlib, sys
from shieldwall.server.processes.supervise import ProcessPlan, supervise

home, program = pathlib.Path(sys.argv[1]), sys.argv[2]

async def is_ready():
    return (home / "signer").exists() and (home / "signer").read_text() != ""

command = (sys.executable, "-c", program, str(home), "signer")
plan = ProcessPlan(name="signer", command=command, is_ready=is_ready)
asyncio.run(supervise([[plan]], lambda: print("ready", flush=True)))
"""
ENDING_ONCE_ADMIN_STARTED = """
import pathlib, sys, time
admin = pathlib.Path(sys.argv[1], "admin")
while not (admin.exists() and admin.read_text()):
    time.sleep(0.02)
sys.exit(3)
"""
FAILING = "import sys; sys.exit(3)"


def plan(home: Path, name: str, program: str = PATIENT, *, is_replaceable: bool = False) -> ProcessPlan:
    async def is_ready() -> bool:
        return (home / name).exists() and (home / name).read_text() != ""

    command = (sys.executable, "-c", program, str(home), name)
    return ProcessPlan(name=name, command=command, is_ready=is_ready, is_replaceable=is_replaceable)


def pid_of(home: Path, name: str) -> int:
    return int((home / name).read_text())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run(stages: list[list[ProcessPlan]], on_ready: Callable[[], None]) -> None:
    asyncio.run(supervise(stages, on_ready))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_in_order_the_last_started_first(tmp_path: Path, number: signal.Signals) -> None:
    run(
        [[plan(tmp_path, "signer")], [plan(tmp_path, "gateway"), plan(tmp_path, "admin")]],
        lambda: os.kill(os.getpid(), number),
    )

    assert (tmp_path / "ended").read_text().split() == ["admin", "gateway", "signer"]


def test_when_one_ends_by_itself_all_are_ended_and_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessEndedError, match="gateway ended by itself with status -9"):
        run(
            [[plan(tmp_path, "signer"), plan(tmp_path, "gateway")]],
            lambda: os.kill(pid_of(tmp_path, "gateway"), signal.SIGKILL),
        )

    assert not is_running(pid_of(tmp_path, "signer"))


def test_one_that_was_killed_is_replaced_where_it_may_be_and_the_others_stay(tmp_path: Path) -> None:
    gateway = plan(tmp_path, "gateway", is_replaceable=True)
    served: list[int] = []
    counted: list[Cause] = []

    async def is_ready() -> bool:
        """Kill it whenever the supervisor has seen it serve, three times; then let all of it end."""
        if not await gateway.is_ready():
            return False
        served.append(pid_of(tmp_path, "gateway"))
        (tmp_path / "gateway").unlink()
        is_last = len(served) > 3
        asyncio.get_running_loop().call_later(
            0.01, os.kill, os.getpid() if is_last else served[-1], signal.SIGTERM if is_last else signal.SIGKILL
        )
        return True

    watched = dataclasses.replace(gateway, is_ready=is_ready, count=counted.append)
    asyncio.run(asyncio.wait_for(supervise([[plan(tmp_path, "signer")], [watched]], lambda: None), 60))
    assert len(set(served)) == 4
    assert counted == [Cause.KILLED] * 3, "the signal that ended all of it is nobody's loss"
    assert not any(map(is_running, served))
    assert (tmp_path / "ended").read_text().split() == ["gateway", "signer"], "the signer was never disturbed"


ENDS_LATER = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1], sys.argv[2]).write_text(str(os.getpid()))
time.sleep(0.5)
sys.exit(4)
"""


@pytest.mark.parametrize(("program", "is_replaceable"), [(PATIENT, False), (ENDS_LATER, True)])
def test_who_keeps_something_or_wanted_to_end_is_not_replaced(
    tmp_path: Path, program: str, *, is_replaceable: bool
) -> None:
    def kill() -> None:
        if program is PATIENT:
            os.kill(pid_of(tmp_path, "last"), signal.SIGKILL)

    plans = [[plan(tmp_path, "first")], [plan(tmp_path, "last", program, is_replaceable=is_replaceable)]]
    with pytest.raises(ProcessEndedError, match="The last ended by itself"):
        asyncio.run(supervise(plans, kill))
    assert (tmp_path / "ended").read_text().split() == ["first"]


KILLED_AT_ONCE = """
import os, pathlib, signal, sys
pathlib.Path(sys.argv[1], "tries").open("a").write("x")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_is_killed_before_it_ever_served_is_not_tried_for_ever(tmp_path: Path) -> None:
    with pytest.raises(ProcessEndedError, match="The gateway ended by itself"):
        asyncio.run(supervise([[plan(tmp_path, "gateway", KILLED_AT_ONCE, is_replaceable=True)]], lambda: None))
    assert (tmp_path / "tries").read_text() == "x" * MOST_KILLED


KILLED_TWICE = """
import os, pathlib, signal, sys
tries = pathlib.Path(sys.argv[1], "tries")
tries.open("a").write("x")
if len(tries.read_text()) <= 2:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_is_killed_while_it_starts_is_tried_again(tmp_path: Path) -> None:
    gateway = plan(tmp_path, "gateway", KILLED_TWICE + PATIENT, is_replaceable=True)
    run([[plan(tmp_path, "signer")], [gateway]], lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert (tmp_path / "tries").read_text() == "xxx"


DOUBTS_ONCE = """
import os, pathlib, sys
here = pathlib.Path(sys.argv[1])
if not (here / "settled").exists():
    (here / sys.argv[2]).write_text(str(os.getpid()))
    while not (here / "ready").exists():
        pass
    os._exit(74)
"""


def test_who_ends_in_doubt_is_replaced_once_that_is_settled(tmp_path: Path) -> None:
    def settle() -> None:
        (tmp_path / "gateway").unlink()
        (tmp_path / "settled").write_text("")
        threading.Thread(target=end_when_replaced, daemon=True).start()

    def end_when_replaced() -> None:
        while not (tmp_path / "gateway").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    gateway = plan(tmp_path, "gateway", DOUBTS_ONCE + PATIENT, is_replaceable=True)
    counted: list[Cause] = []
    doubting = dataclasses.replace(gateway, doubts=74, settle=settle, count=counted.append)
    run([[plan(tmp_path, "signer")], [doubting]], (tmp_path / "ready").touch)
    assert counted == [Cause.FAILED_SYNC]
    assert (tmp_path / "ended").read_text().split() == ["gateway", "signer"], "the signer was never disturbed"


def test_who_ends_in_doubt_that_cannot_be_settled_ends_all(tmp_path: Path) -> None:
    def settle() -> None:
        raise NotReadyError("The disk is broken.")

    gateway = plan(tmp_path, "gateway", DOUBTS_ONCE + PATIENT, is_replaceable=True)
    counted: list[Cause] = []
    doubting = dataclasses.replace(gateway, doubts=74, settle=settle, count=counted.append)
    with pytest.raises(NotReadyError, match="disk is broken"):
        run([[plan(tmp_path, "signer")], [doubting]], (tmp_path / "ready").touch)
    assert counted == [Cause.FAILED_SYNC], "the service manager starts the server again, and it may go well"
    assert not is_running(pid_of(tmp_path, "signer"))


def test_one_that_fails_at_once_lets_the_next_stage_not_begin(tmp_path: Path) -> None:
    with pytest.raises(ProcessEndedError, match="signer ended by itself with status 3"):
        run([[plan(tmp_path, "signer", FAILING)], [plan(tmp_path, "gateway")]], lambda: None)

    assert not (tmp_path / "gateway").exists()


def test_one_that_never_is_ready_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY_SECONDS", 0.3)
    silent = plan(tmp_path, "signer", "import signal; signal.pause()")
    with pytest.raises(NotReadyError, match="signer"):
        run([[silent]], lambda: None)


def test_one_that_does_not_want_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.3)
    run([[plan(tmp_path, "signer", STUBBORN)]], lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert not is_running(pid_of(tmp_path, "signer"))


def test_one_that_does_not_serve_yet_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 3_600.0)  # so whoever waited would not be heard of again
    starting = plan(tmp_path, "admin", STUBBORN)

    async def never() -> bool:
        return False

    signer = dataclasses.replace(plan(tmp_path, "signer", ENDING_ONCE_ADMIN_STARTED), is_ready=never)
    with pytest.raises(ProcessEndedError, match="signer"):
        run([[signer, dataclasses.replace(starting, is_ready=never)]], lambda: None)
    assert not is_running(pid_of(tmp_path, "admin"))


def test_none_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SUPERVISOR,
            str(tmp_path),
            PATIENT,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with supervisor:
        assert supervisor.stdout is not None
        assert b"ready\n" in iter(supervisor.stdout.readline, b"")  # the log goes the same way
        child = os.pidfd_open(pid_of(tmp_path, "signer"))
        supervisor.kill()
    try:
        assert select.select([child], [], [], 20)[0], "the child did not end"
    finally:
        os.close(child)


@pytest.mark.parametrize(
    ("part", "unused"),
    [
        ("processes.gateway_process", {"litestar", "alembic", "numpy", "rich", "httpx", "yaml"}),
        ("processes.running", {"litestar", "alembic", "numpy", "rich", "httpx", "yaml", "sqlalchemy", "granian"}),
    ],
)
def test_what_has_to_be_there_again_soon_loads_nothing_that_it_may_never_need(part: str, unused: set[str]) -> None:
    code = f"import sys, shieldwall.server.{part}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not unused & set(done.stdout.split())
