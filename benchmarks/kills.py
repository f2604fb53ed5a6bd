"""Processes of a server killed at random moments of a storm of check-ins: what is lost, and when it serves again.

On both engines, one after the other; of PostgreSQL itself nothing is killed. The same storm, ledger and server as in
``tests/campaigns/test_killing_server.py``; ``make campaign`` kills a thousand times.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from tests.support.kill_storm import LedgerStorm
from tests.support.storm_server import StormServer

from benchmarks.bars import KILLS_BACK, KILLS_LOST
from benchmarks.clusters import Storage, on_each_engine
from benchmarks.figures import Figure

_LONGEST_SECONDS: Final = 120.0
_STORM_SECONDS: Final = 0.4
_VICTIMS: Final = ("gateway", "gateway", "gateway", "gateway", "admin", "signer", "all")
_END_ALL: Final = ("signer", "all")
"""Whoever of them is killed, the server ends, a moment after that; it is out of service only then."""


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Kill so many times on each engine, one after the other, and look into the database after that."""
    return on_each_engine(home, lambda there: _measured(there, 4 if quick else 50))


def _measured(there: Storage, kills: int) -> list[Figure]:
    what, engine = f"killed {kills} times under load", there.engine
    took, wrong, note = _killed(there, kills)
    return [
        Figure(f"{what}: acknowledged reports lost", wrong, "", engine=engine, bar=KILLS_LOST, note=note),
        Figure(f"{what}: serving again, at the latest", max(took), "s", engine=engine, bar=KILLS_BACK),
        Figure.of(f"{what}: serving again", took, "s", engine=engine),
    ]


def _killed(there: Storage, kills: int) -> tuple[list[float], int, str]:
    """Return the seconds that each kill took, 1 where anything is not as it was acknowledged, and what was seen."""
    server, chance = StormServer.made(there.home, there.url), random.Random(8)  # noqa: S311 - tries, not secrets
    fleet = server.enrolled(200)
    took = []
    with closing(server.storm()) as client, server.running():
        storm = LedgerStorm(
            fleet=fleet,
            storm=client,
            authority=server.authority,
            chance=chance,
            meanwhile=server.start_if_ended,
        )
        storm.go_on(_LONGEST_SECONDS, lambda: storm.acknowledged > 0)
        for _ in range(kills):
            storm.go_on(chance.uniform(0, _STORM_SECONDS))
            took.append(_serving_again(server, storm, chance.choice(_VICTIMS)))
        storm.settle(_LONGEST_SECONDS)
        storm.call_all(_LONGEST_SECONDS)
    wrong, first = 0, ""
    with server.database() as database:
        try:
            storm.check(database)
        except AssertionError as found:
            wrong, first = 1, f"; at least one: {found}"
    seen = f"{storm.acknowledged:,} acknowledged; gateway, admin, signer or all of them; {dict(storm.statuses)}{first}"
    return took, wrong, seen


def _serving_again(server: StormServer, storm: LedgerStorm, victim: str) -> float:
    pids = server.pids()
    chosen = list(pids.values()) if victim == "all" else [pids[victim]] if victim in pids else []
    for pid in chosen:  # none where it is just being replaced
        with suppress(ProcessLookupError):  # it ended by itself just now
            os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    ends = bool(chosen) and victim in _END_ALL

    def serves() -> bool:
        return storm.last_taken > begun and (not ends or storm.last_taken > server.started > begun)

    if not storm.go_on(_LONGEST_SECONDS, serves):
        raise TimeoutError(f"{victim} was killed, and nothing serves any more: {server.last_lines()}")
    return time.monotonic() - begun
