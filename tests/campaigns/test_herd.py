"""L-STORM: a herd comes at once to a server that has a fraction of the processor it needs.

It does as much as it can, tells the others when to come back, and answers what is vital. Nothing but 204, 200 and 503
is ever answered, and whoever comes back when told loses nothing. What it can is counted in its own processor time, with
a few devices and with all of them in one run, so that nothing here depends on what else the machine does.
"""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path

from tests.support.campaign import size
from tests.support.check_in_storm import Storm, keep_up
from tests.support.kill_storm import a_report
from tests.support.slowing import held, slowed
from tests.support.storm_fleet import StormDevice, StormFleet, StormRequest, written
from tests.support.storm_server import StormServer

from shieldwall.contract.ids import Digest
from shieldwall.server.gateway.admission import FIRST_BACK, LAST_BACK
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.simulator.load.processes import cpu_seconds

SHARE = size(short=6, full=20) / 100
"""Of a processor. This client is one thread, and a few hundred of its devices shall be too much for the server."""
HERD = size(short=350, full=20_000)
QUICKER = 10.0
"""So many times as fast as they were told to they come back here, for nobody waits ten minutes for a test."""
SERVED_SECONDS = 900.0
MOST_UNDER_WAY = 700
"""Fewer than the gateway has places: this client shall not be what is too slow."""
AT_THE_DOOR = 250
"""So many wait to be let in when it begins: as many as have a place in the kernel."""
SOURCES = tuple(f"127.1.{network}.1" for network in range(16))
"""A fleet comes from many networks, and none of them gets more than its share of the places."""
GOODPUT = 0.8 if "CAMPAIGN" in os.environ else 0.0
"""Of the devices that it serves with a second of a processor at best, so many it serves while everybody comes at once,
although it tells others when to come back with the same second. A crowd that is over at once is hardly served before it
is sent away, so of that only this is asked:"""
ANSWERED = 0.5
"""Of the devices that it serves with a second of a processor at best, so many it answers, one way or the other."""
MOST_TIMES_AWAY = 3
"""So often a device is sent away, on average, until it is served: who is told a time finds a place then."""
MOST_MEBIBYTES = 1_024


def reporting(device: StormDevice, authority: str) -> StormRequest:
    """Let a device bring a report like no other."""
    return device.check_in(authority, time.time(), report=a_report(device.number, device.seq + 1))


def served(storm: Storm, fleet: StormFleet, authority: str) -> int:
    """Let each device check in, a few at a time, and say how many were served."""
    requests = (reporting(device, authority) for device in fleet)
    return sum(outcome.status == 204 for outcome in keep_up(storm, requests, at_once=16))


def vital(authority: str) -> StormRequest:
    body = b'{"nonce":"' + b"0" * 32 + b'"}'
    wire = written("POST", "/device/v1/time", authority, body, {"Content-Type": "application/json"})
    return StormRequest(device=0, seq=0, wire=wire, body=body)


def most_mebibytes(pid: int) -> float:
    """Say how much memory a process ever held resident (proc(5), ``VmHWM``)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def is_there(server: StormServer, herd: StormFleet, reports: dict[int, Digest | None]) -> bool:
    """Say whether the last report of each device is the one that was acknowledged."""
    with server.database() as database, database.read() as connection:
        rows = check_ins.find_many(connection, [device.id for device in herd])
    return {device.number: rows[device.id].status_digest for device in herd} == reports


def hold(answers: Counter[int], at_best: float, used: float, said: str) -> None:
    """Hold a server to what it answered a herd with so many seconds of a processor."""
    assert answers[503] or "CAMPAIGN" not in os.environ, f"nobody had to be sent away, so this was no herd: {said}"
    assert answers[503] <= MOST_TIMES_AWAY * HERD, said
    assert (HERD + answers[503]) / used >= ANSWERED * at_best, said
    assert HERD / used >= GOODPUT * at_best, said


def test_a_herd_is_served_by_and_by_and_nobody_is_lost(tmp_path: Path) -> None:
    server = StormServer.made(tmp_path)
    warm, herd = server.enrolled(size(short=200, full=1_000)), server.enrolled(HERD, first=10_000)
    answers: Counter[int] = Counter()
    vitals: list[float] = []
    reports: dict[int, Digest | None] = {}
    with closing(server.storm(patience=60.0, sources=SOURCES)) as storm, server.running():
        server.until(server.is_ready, "all of it serving")
        gateway = server.pids()["gateway"]
        assert served(storm, warm, server.authority)  # each has been met
        before = cpu_seconds(gateway)
        at_best = served(storm, warm, server.authority) / (cpu_seconds(gateway) - before)
        with held(gateway):  # so that they do come at once, however fast this client is
            for device in islice(herd, AT_THE_DOOR):
                storm.send(reporting(device, server.authority))
            storm.outcomes(0.5)
        with slowed(gateway, SHARE):
            begun, before = time.monotonic(), cpu_seconds(gateway)
            coming = [(begun, device.number) for device in islice(herd, AT_THE_DOOR, None)]
            next_vital, done = begun, 0
            while done < herd.count:
                now = time.monotonic()
                assert now - begun < SERVED_SECONDS, f"{done} of {herd.count} served: {answers}"
                if now >= next_vital:
                    next_vital = now + 1.0
                    storm.send(vital(server.authority))
                while coming and coming[0][0] <= now and storm.under_way < MOST_UNDER_WAY:
                    device = herd.device(heapq.heappop(coming)[1])
                    storm.send(reporting(device, server.authority))
                for outcome in storm.outcomes(0.02):
                    answers[outcome.status] += 1
                    if outcome.request.device == 0:
                        assert outcome.status == 200, f"what is vital was answered {outcome.status} {outcome.failure}"
                        vitals.append(outcome.seconds)
                    elif outcome.status == 204:
                        done += 1
                        reports[outcome.request.device] = outcome.request.report
                    else:
                        assert outcome.status == 503, outcome
                        assert outcome.retry_after is not None
                        assert FIRST_BACK <= outcome.retry_after <= LAST_BACK
                        back = time.monotonic() + outcome.retry_after / QUICKER
                        heapq.heappush(coming, (back, outcome.request.device))
            took, used = time.monotonic() - begun, cpu_seconds(gateway) - before
            while storm.under_way:
                storm.outcomes(0.05)
        memory = most_mebibytes(gateway)
    said = (
        f"{at_best:.0f} a second of a processor at best, {HERD / used:.0f} of the herd; "
        f"{HERD} served in {took:.0f} s, at most {memory:.0f} MiB, answers {dict(answers)}"
    )
    assert is_there(server, herd, reports), said
    assert memory <= MOST_MEBIBYTES, said
    hold(answers, at_best, used, said)
    sys.stdout.write(f"L-STORM: {said}; what is vital in {sorted(vitals)[len(vitals) * 99 // 100]:.2f} s (p99)\n")
