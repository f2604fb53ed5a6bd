"""D-IO, D-FULL and D-KILLPG: a disk that refuses or is full, or PostgreSQL is killed, in a storm of check-ins.

While it cannot be made durable nothing is acknowledged: devices get 503 or nothing. Once it can again, the server goes
on without a hand, and nothing that was acknowledged is missing or there twice. A gateway that hears of a sync that
failed ends, and another takes its place.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.support.campaign import SEED, size, tries
from tests.support.durable_postgresql import DurablePostgresql
from tests.support.kill_storm import LedgerStorm
from tests.support.postgresql import find_programs
from tests.support.private_namespaces import mount, privately
from tests.support.storm_server import StormServer

from shieldwall.server.observing.replacements import Cause, counted

LONGEST_SECONDS = 60.0
HEALS_SECONDS = 10.0
SYNCS = "fdatasync,fsync"
REFUSALS = {
    "disk full": ("pwrite64", "ENOSPC"),
    "disk broken": ("pwrite64", "EIO"),
    "sync fails": (SYNCS, "EIO"),
    "sync finds no room": (SYNCS, "ENOSPC"),  # the kernel drops what it could not write here too
}


@contextmanager
def a_storm(server: StormServer, devices: int) -> Iterator[LedgerStorm]:
    fleet = server.enrolled(devices)
    chance = random.Random(SEED)  # noqa: S311 - tries, not secrets
    with closing(server.storm()) as client, server.running():
        storm = LedgerStorm(fleet=fleet, storm=client, authority=server.authority, chance=chance)
        assert storm.go_on(LONGEST_SECONDS, lambda: storm.acknowledged > 0 and server.is_ready())
        yield storm
        storm.settle(LONGEST_SECONDS)
        storm.call_all(LONGEST_SECONDS)
    with server.database() as database:
        storm.check(database)


@contextmanager
def refusing(pid: int, calls: str, error: str) -> Iterator[None]:
    """Let the kernel refuse calls of a process and its threads; whoever may not trace it skips the test."""
    command = ["strace", "-f", "-q", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={calls}"]
    with subprocess.Popen([*command, "-e", f"inject={calls}:error={error}"], stderr=subprocess.PIPE) as tracer:
        time.sleep(0.5)
        if tracer.poll() is not None and is_running(pid):  # or it has seen its end
            assert tracer.stderr is not None
            pytest.skip(f"nothing can be traced here: {tracer.stderr.read().decode()}")
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)  # it lets go of the process first
            try:
                tracer.wait(5)
            except subprocess.TimeoutExpired:  # it may miss the end of a process, which then has none either
                tracer.kill()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_disk_that_refuses_gets_no_acknowledgement_and_is_forgiven(tmp_path: Path) -> None:
    server = StormServer.made(tmp_path)
    taken: list[float] = []
    with a_storm(server, 100) as storm:
        for number, luck in tries("D-IO", size(short=len(REFUSALS), full=50 * len(REFUSALS))):
            storm.go_on(luck.uniform(0, 0.4))
            _refuse(server, storm, *list(REFUSALS.values())[number % len(REFUSALS)])
            begun = time.monotonic()
            assert storm.go_on(LONGEST_SECONDS, lambda: storm.last_taken > begun), server.last_lines()  # noqa: B023
            taken.append(time.monotonic() - begun)
    told = server.log.read_text()
    ends = sum(list(REFUSALS.values())[number % len(REFUSALS)][0] == SYNCS for number in range(len(taken)))
    assert told.count('"sync_failed"') == told.count('"process_ended_in_doubt"') == ends
    assert counted(server.settings.run, Cause.FAILED_SYNC) == ends
    sys.stdout.write(f"D-IO: {len(taken)} refusals, taken again after {max(taken):.1f} s at most\n")


def _refuse(server: StormServer, storm: LedgerStorm, calls: str, error: str) -> None:
    """Refuse until it shows: writes are answered 503, a gateway whose sync failed ends and is replaced."""
    pids = server.pids()
    gateway = pids.pop("gateway")
    with refusing(gateway, calls, error):
        if calls == SYNCS:
            assert storm.go_on(LONGEST_SECONDS, lambda: not is_running(gateway)), f"it outlived {error}"
        else:
            storm.go_on(0.3)  # what was on its way before is through
            before, refused = storm.acknowledged, storm.statuses[503]
            assert storm.go_on(LONGEST_SECONDS, lambda: storm.statuses[503] > refused + 5)
            assert storm.acknowledged == before, f"acknowledged although {calls} failed with {error}"
    if calls == SYNCS:
        assert storm.go_on(LONGEST_SECONDS, lambda: server.pids().get("gateway", gateway) != gateway)
    after = server.pids()
    assert (after.pop("gateway") == gateway) is (calls != SYNCS), "it goes on by itself, or another takes its place"
    assert after == pids, "and nobody else's"


def is_running(pid: int) -> bool:
    """Whether there is such a process, which is not just waiting to be looked after."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.root
def test_a_disk_that_is_full_gets_no_false_acknowledgement_and_is_forgiven(tmp_path: Path) -> None:
    privately(lambda: _on_a_small_disk(tmp_path))


def _on_a_small_disk(home: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=24m", "small", str(home))
    server, filler = StormServer.made(home), home / "filler"
    sent_away = 0
    with a_storm(server, 100) as storm:
        for _, luck in tries("D-FULL", size(short=2, full=50)):
            storm.go_on(luck.uniform(0, 0.4))
            before, refused = server.pids(), storm.statuses[503]
            fill(filler)
            assert storm.go_on(LONGEST_SECONDS, lambda: storm.statuses[503] > refused + 5)  # noqa: B023 - used here
            sent_away += storm.statuses[503] - refused
            filler.unlink()
            begun = time.monotonic()
            assert storm.go_on(LONGEST_SECONDS, lambda: storm.last_taken > begun), server.last_lines()  # noqa: B023
            assert server.pids() == before, "a full disk is no reason to end"
    sys.stdout.write(f"D-FULL: {sent_away} sent away, all served again\n")


def fill(path: Path) -> None:
    """Write until nothing more finds room."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.mark.postgresql
@pytest.mark.skipif(find_programs() is None, reason="PostgreSQL is not installed")
def test_a_postgresql_that_is_killed_loses_nothing_and_is_found_again(tmp_path: Path) -> None:
    programs = find_programs()
    assert programs is not None
    healed: list[float] = []
    with DurablePostgresql.running(programs) as postgresql:
        server = StormServer.made(tmp_path, database=postgresql.url)
        with a_storm(server, 100) as storm:
            for number, luck in tries("D-KILLPG", size(short=3, full=200)):
                storm.go_on(luck.uniform(0, 0.6))
                if number % 3 == 2:
                    postgresql.stop_at_once()
                else:
                    postgresql.kill()
                storm.go_on(luck.uniform(0, 0.5))
                postgresql.start()
                begun = time.monotonic()
                assert storm.go_on(LONGEST_SECONDS, lambda: storm.last_taken > begun), server.last_lines()  # noqa: B023
                healed.append(time.monotonic() - begun)
            assert server.process is not None
            assert server.process.poll() is None, "it went on by itself"
    told = f"{statistics.median(healed):.1f} s (median), {max(healed):.1f} s at most"
    sys.stdout.write(f"D-KILLPG: {len(healed)} times, found again after {told}\n")
    if "CAMPAIGN" in os.environ:  # on a machine that has nothing else to do
        assert max(healed) <= HEALS_SECONDS
