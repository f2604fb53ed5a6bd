"""D-SIM: devices, server, signer, network and clocks in one process, with faults, from a seed.

What must never happen is looked for after every step (``docs/simulator.md``); at the end everybody has to come to their
target by themselves. A failing try is repeated by ``shieldwall-sim core`` with the words that its message says.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.support.campaign import SEED, size, told, tries
from tests.support.migrated import migrated_sqlite

from shieldwall.simulator.core.plan import Plan
from shieldwall.simulator.core.world import simulate
from shieldwall.simulator.core_commands import replay

DEVICES, HOURS = size(short=8, full=200), float(size(short=6, full=48))


def test_whatever_goes_wrong_nothing_happens_that_must_not_and_all_comes_right(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    hours = 0.0
    for number, _ in tries("D-SIM", size(short=1, full=94)):
        directory = tmp_path / str(number)
        directory.mkdir()
        plan = Plan(seed=SEED + number, devices=DEVICES, hours=HOURS, acts_an_hour=2.0)

        outcome = simulate(plan, directory, database=migrated_sqlite(directory / "simulated.db"))

        assert outcome.broken is None, "\n".join([outcome.broken, replay(outcome), *outcome.last])
        seen.update(outcome.counts)
        hours += outcome.device_hours
    told(f"D-SIM, {hours:,.0f} device-hours", seen)
    assert seen["turn"] > hours / 3
