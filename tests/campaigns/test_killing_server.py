"""D-KILL: processes of a server are killed at random moments of a storm of check-ins.

Nothing that was acknowledged is lost, nothing is done twice, no device is stuck, and it serves again within seconds.
This test is the service manager: a server that ended is started again at once.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from tests.support.campaign import SEED, size, told, tries
from tests.support.kill_storm import LedgerStorm
from tests.support.storm_server import StormServer

SERVING_SECONDS = 5.0
"""Within so many a server serves again."""
LONGEST_SECONDS = 60.0
STORM_SECONDS = 0.4
"""A kill comes at any moment of so many seconds after the server served again."""
VICTIMS = {"gateway": 20, "admin": 2, "signer": 1, "server": 1, "all": 1}


def test_nothing_that_was_acknowledged_is_lost_whoever_is_killed(tmp_path: Path) -> None:
    server = StormServer.made(tmp_path)
    fleet = server.enrolled(size(short=200, full=2_000))
    chance = random.Random(SEED)  # noqa: S311 - tries, not secrets
    killed: Counter[str] = Counter()
    took: dict[str, list[float]] = {victim: [] for victim in VICTIMS}
    with closing(server.storm()) as client, server.running():
        storm = LedgerStorm(
            fleet=fleet,
            storm=client,
            authority=server.authority,
            chance=chance,
            meanwhile=server.start_if_ended,
        )
        assert storm.go_on(LONGEST_SECONDS, lambda: storm.acknowledged > 0)
        for _, luck in tries("D-KILL", size(short=6, full=1_000)):
            storm.go_on(luck.uniform(0, STORM_SECONDS))
            victim = luck.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            took[victim].append(serving_again(server, storm, victim))
            killed[victim] += 1
        storm.settle(LONGEST_SECONDS)
        storm.call_all(LONGEST_SECONDS)
    say(storm, took)
    with server.database() as database:
        storm.check(database)
    told("D-KILL", killed)
    if "CAMPAIGN" in os.environ:  # on a machine that has nothing else to do
        assert statistics.median(took["gateway"]) <= SERVING_SECONDS


def serving_again(server: StormServer, storm: LedgerStorm, victim: str) -> float:
    """Kill, and say after how many seconds a request was answered that began after that."""
    pids = server.pids()
    for pid in pids.values() if victim == "all" else [pids[victim]] if victim in pids else []:
        with suppress(ProcessLookupError):  # it ended by itself just now
            os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    assert storm.go_on(LONGEST_SECONDS, lambda: storm.last_taken > begun), (
        f"{victim} killed: it serves no more\n{server.last_lines()}"
    )
    return time.monotonic() - begun


def say(storm: LedgerStorm, took: dict[str, list[float]]) -> None:
    """Say what was seen."""
    lines = [f"D-KILL: {storm.acknowledged} acknowledged, answers {dict(storm.statuses)}, lost {dict(storm.lost)}"]
    for victim, times in took.items():
        if times:
            ordered = sorted(times)
            lines.append(
                f"D-KILL: {victim} killed {len(times)} times, serving again after {ordered[len(ordered) // 2]:.1f} s"
                f" (median), {ordered[-1]:.1f} s at most"
            )
    sys.stdout.write("\n".join(lines) + "\n")
