"""D-FAIL: the PostgreSQL that takes writes is killed under check-ins, its copy takes over, the old one returns.

Who promotes the copy is Patroni elsewhere and this test here; everything else happens by itself.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select
from tests.support import campaign
from tests.support.postgresql_pair import Member, postgresql_pair
from tests.support.scaled_server import ScaledServer
from tests.support.steady_load import Ledger, Load, loaded
from tests.support.storm_fleet import StormFleet

from shieldwall.server.storage.tables.device_schema import alerts, check_ins

pytestmark = [pytest.mark.postgresql, pytest.mark.timeout(0)]

TRIES = campaign.size(short=1, full=50)
DEVICES = 24
HEALS_SECONDS = 30.0


def test_nothing_acknowledged_is_lost_when_a_database_ends_and_another_takes_over(tmp_path: Path) -> None:
    gaps, answers = [], Counter[str]()
    with postgresql_pair() as pair, ScaledServer.running(tmp_path, pair.url, gateways=1) as scaled:
        fleet = scaled.server.enrolled(DEVICES)
        (port,) = (part.port for part in scaled.parts if part.port)
        leader, follower = pair.one, pair.two
        load = partial(Load, scaled.server.authority, port, fleet)
        told: Counter[int] = Counter()
        for number, chance in campaign.tries("D-FAIL", TRIES):
            ledger = _one_failover(load(), leader, follower, chance)
            told.update(ledger.attempts)
            _compare(follower, ledger, told, fleet)
            gaps.append(ledger.gap)
            answers.update(ledger.answers)
            if number == 0:
                _old_one_takes_no_writes(leader)
            pair.follow(leader, follower)
            leader, follower = follower, leader
    campaign.told("D-FAIL", answers)
    campaign.told(f"D-FAIL, longest gap {max(gaps):.1f} s, median {sorted(gaps)[len(gaps) // 2]:.1f} s", Counter())
    assert max(gaps) <= HEALS_SECONDS


def _one_failover(load: Load, leader: Member, follower: Member, chance: random.Random) -> Ledger:
    with loaded(load) as ledger:
        time.sleep(chance.uniform(0.5, 2.0))
        before = sum(ledger.seqs.values())
        leader.kill()
        time.sleep(chance.uniform(0.0, 1.5))  # until somebody notices and decides
        follower.promote()
        promoted = time.monotonic()
        while sum(ledger.seqs.values()) <= before:
            assert time.monotonic() - promoted < HEALS_SECONDS, f"nobody is served: {ledger.answers}"
            time.sleep(0.05)
        time.sleep(0.5)
    assert ledger.answers["204"] + ledger.answers["200"] > DEVICES
    return ledger


def _compare(member: Member, ledger: Ledger, told: Counter[int], fleet: StormFleet) -> None:
    """Hold what the database has against what was acknowledged: nothing less, and no attempt counted twice."""
    by_id = {device.id: device.number for device in fleet}
    where = f"host=127.0.0.1 port={member.port} user=shieldwall dbname=shieldwall"
    seqs = select(check_ins.c.device_id, check_ins.c.seq)
    times = select(alerts.c.device_id, func.sum(alerts.c.times)).group_by(alerts.c.device_id)
    with psycopg.connect(where) as connection:
        held = {by_id[row[0]]: row[1] for row in connection.execute(str(seqs).encode()) if row[0] in by_id}
        counted = {by_id[row[0]]: row[1] for row in connection.execute(str(times).encode()) if row[0] in by_id}
    lost = {number: seq for number, seq in ledger.seqs.items() if held[number] < seq}
    assert not lost, lost
    assert counted == {number: count for number, count in told.items() if count}


def _old_one_takes_no_writes(old: Member) -> None:
    """It comes back as it was, by somebody's mistake: what it is told is not acknowledged, for no copy follows it."""
    old.start()
    ended: list[object] = []

    def write() -> None:
        try:
            ended.append(old.ask("UPDATE tenants SET display_name = 'split'", database="shieldwall"))
        except psycopg.Error as error:
            ended.append(error)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(1.5)
    assert not ended, ended
    old.kill()
    thread.join(20)
    assert isinstance(ended[0], psycopg.Error)
