"""L-STORM: a herd comes at once to a server that has a fifth of the processor it needs.

It does as much as it can, tells the others when to come back, and answers what is vital. Nothing but 204, 200 and 503
is ever answered, and whoever comes back when told loses nothing.
"""

from __future__ import annotations

import heapq
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support.campaign import size
from tests.support.check_in_storm import Storm, keep_up
from tests.support.storm_fleet import StormFleet, StormRequest, written
from tests.support.storm_server import StormServer

from shieldwall.server.gateway.admission import FIRST_BACK, LAST_BACK

ON_SECONDS, OFF_SECONDS = 0.004, 0.016
"""So the server is let run and held, over and over: it is as slow as on a fifth of a processor."""
QUICKER = 10.0
"""So many times as fast as they were told to they come back here, for nobody waits ten minutes for a test."""
SERVED_SECONDS = 300.0
MOST_UNDER_WAY = 500
"""Fewer than the gateway's places and its queue: this client shall not be what is too slow."""
GOODPUT = 0.8 if "CAMPAIGN" in os.environ else 0.5
"""Of what it does at best, so much it does while everybody comes at once; less is asked beside other work."""


@contextmanager
def slowed(pid: int) -> Iterator[None]:
    """Hold a process most of the time."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            time.sleep(OFF_SECONDS)
            os.kill(pid, signal.SIGCONT)
            time.sleep(ON_SECONDS)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        os.kill(pid, signal.SIGCONT)


def peak(storm: Storm, fleet: StormFleet, authority: str, seconds: float) -> float:
    """Say how many check-ins a second it does with a few under way at any time."""
    end, done = time.monotonic() + seconds, 0

    def requests() -> Iterator[StormRequest]:
        while time.monotonic() < end:
            for device in fleet:
                if time.monotonic() < end:
                    yield device.check_in(authority, time.time())

    for outcome in keep_up(storm, requests(), at_once=16):
        assert outcome.status in {204, 503}, outcome
        done += outcome.status == 204
    return done / seconds


def vital(authority: str) -> StormRequest:
    body = b'{"nonce":"' + b"0" * 32 + b'"}'
    wire = written("POST", "/device/v1/time", authority, body, {"Content-Type": "application/json"})
    return StormRequest(device=0, seq=0, wire=wire, body=body)


def test_a_herd_is_served_by_and_by_and_nobody_is_lost(tmp_path: Path) -> None:
    server = StormServer.made(tmp_path)
    warm, herd = server.enrolled(100), server.enrolled(size(short=300, full=20_000), first=1_000)
    answers: Counter[int] = Counter()
    vitals: list[float] = []
    with closing(server.storm(patience=60.0)) as storm, server.running():
        server.until(server.is_ready, "all of it serving")
        with slowed(server.pids()["gateway"]):
            best = peak(storm, warm, server.authority, size(short=4, full=20))
            begun = time.monotonic()
            coming = [(begun, device.number) for device in herd]
            next_vital, served = begun, 0
            while served < herd.count:
                now = time.monotonic()
                assert now - begun < SERVED_SECONDS, f"{served} of {herd.count} served: {answers}"
                if now >= next_vital:
                    next_vital = now + 1.0
                    storm.send(vital(server.authority))
                while coming and coming[0][0] <= now and storm.under_way < MOST_UNDER_WAY:
                    device = herd.device(heapq.heappop(coming)[1])
                    storm.send(device.check_in(server.authority, time.time()))
                for outcome in storm.outcomes(0.02):
                    answers[outcome.status] += 1
                    if outcome.request.device == 0:
                        assert outcome.status == 200, f"what is vital was answered {outcome.status} {outcome.failure}"
                        vitals.append(outcome.seconds)
                    elif outcome.status == 204:
                        served += 1
                    else:
                        assert outcome.status == 503, outcome
                        assert outcome.retry_after is not None
                        assert FIRST_BACK <= outcome.retry_after <= LAST_BACK
                        back = time.monotonic() + outcome.retry_after / QUICKER
                        heapq.heappush(coming, (back, outcome.request.device))
            took = time.monotonic() - begun
            assert herd.count / took >= GOODPUT * best or answers[503], (
                f"{best:.0f} a second, then {herd.count / took:.0f}"
            )
            while storm.under_way:
                storm.outcomes(0.05)
    sys.stdout.write(
        f"L-STORM: {best:.0f} a second at best; {herd.count} served in {took:.0f} s, answers {dict(answers)};"
        f" what is vital in {sorted(vitals)[len(vitals) * 99 // 100]:.2f} s (p99)\n"
    )
