"""How fast the core simulator goes: device-hours that it lives through in a minute of a processor.

It is ``shieldwall-sim core`` with all that goes wrong there and all that is looked for (``docs/simulator.md``): the
real gateway, the real signer, the real agents. Its database is SQLite in memory, as for everybody who simulates, and
then a real PostgreSQL, whose work is counted as well. One that finds something is no measurement.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.bars import SIMULATED
from benchmarks.clusters import Storage, on_each_engine
from benchmarks.figures import Engine, Figure
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database
from shieldwall.simulator.core.plan import Outcome, Plan
from shieldwall.simulator.core.server import in_memory
from shieldwall.simulator.core.world import simulate
from shieldwall.simulator.core_commands import hush, replay

SEEDS = (1, 2, 3)


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Live through a few simulations, one after the other, on either engine."""
    hush()
    plans = [Plan(seed=1, devices=10, hours=6)] if quick else [Plan(seed=seed, devices=100, hours=24) for seed in SEEDS]

    def measured(there: Storage) -> list[Figure]:
        return [figure([_lived_through(plan, there) for plan in plans], there.engine, is_held=not quick)]

    return on_each_engine(home, measured)


def figure(outcomes: Sequence[Outcome], engine: Engine, *, is_held: bool) -> Figure:
    """Sum up simulations of one size. Raises: RuntimeError where one of them found what must never happen."""
    for each in outcomes:
        if each.broken is not None:
            raise RuntimeError(f"{each.broken}: {replay(each)}")
    plan = outcomes[0].plan
    turns, checks = sum(each.counts["turn"] for each in outcomes), sum(each.checks for each in outcomes)
    return Figure.of(
        f"core simulator, {plan.devices} devices, {plan.hours:g} hours of faults: lived through in a minute of CPU",
        [each.device_hours_a_cpu_minute for each in outcomes],
        "device-hours",
        engine=engine,
        bar=SIMULATED if is_held else None,
        note=f"{len(outcomes)} seeds, {turns:,} check-ins, {checks:,} checks",
    )


def _lived_through(plan: Plan, there: Storage) -> Outcome:
    url = None if there.cluster is None else _with_tables(there.cluster.another(f"seed_{plan.seed}"))
    with in_memory() as directory:
        return simulate(plan, directory, database=url, cpu=lambda: time.process_time() + there.processor_seconds())


def _with_tables(url: str) -> str:
    with closing(Database(url)) as database:
        migrate.upgrade(database)
    return url
