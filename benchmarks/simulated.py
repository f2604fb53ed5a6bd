"""How fast the core simulator goes: device-hours that it lives through in a minute of a processor.

It is ``shieldwall-sim core`` with all that goes wrong there and all that is looked for (``docs/simulator.md``): the
real gateway over SQLite in memory, the real signer, the real agents. One that finds something is no measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.bars import SIMULATED
from benchmarks.figures import SQLITE, Figure
from shieldwall.simulator.core.plan import Outcome, Plan
from shieldwall.simulator.core.server import in_memory
from shieldwall.simulator.core.world import simulate
from shieldwall.simulator.core_commands import hush, replay

SEEDS = (1, 2, 3)


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Live through a few simulations, one after the other."""
    del home  # the database is in memory, as it is for everybody who simulates
    hush()
    plans = [Plan(seed=1, devices=10, hours=6)] if quick else [Plan(seed=seed, devices=100, hours=24) for seed in SEEDS]
    return [figure([_lived_through(plan) for plan in plans], is_held=not quick)]


def figure(outcomes: Sequence[Outcome], *, is_held: bool) -> Figure:
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
        engine=SQLITE,
        bar=SIMULATED if is_held else None,
        note=f"{len(outcomes)} seeds, {turns:,} check-ins, {checks:,} checks",
    )


def _lived_through(plan: Plan) -> Outcome:
    with in_memory() as directory:
        return simulate(plan, directory)
