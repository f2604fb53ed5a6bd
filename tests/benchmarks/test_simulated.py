"""The part that measures the core simulator: what it sums up, and that it takes no broken simulation for a fast one."""

from __future__ import annotations

import pytest
from benchmarks.bars import SIMULATED
from benchmarks.figures import SQLITE
from benchmarks.simulated import figure

from shieldwall.simulator.core.plan import Outcome, Plan


def _outcome(seed: int, *, cpu_seconds: float, broken: str | None = None) -> Outcome:
    return Outcome(
        plan=Plan(seed=seed, devices=100, hours=24),
        device_hours=3_000.0,
        seconds=60.0,
        cpu_seconds=cpu_seconds,
        digest="",
        counts={"turn": 2_000},
        checks=7_000,
        broken=broken,
    )


@pytest.mark.parametrize(("cpu_seconds", "met"), [(18.0, True), (18.1, False)])
def test_the_bar_is_held_against_time_of_a_processor_and_not_of_the_clock(cpu_seconds: float, met: bool) -> None:
    measured = figure([_outcome(1, cpu_seconds=cpu_seconds)], SQLITE, is_held=True)

    assert measured.bar is SIMULATED
    assert measured.met is met


def test_simulations_are_summed_up_as_rounds() -> None:
    measured = figure(
        [_outcome(seed, cpu_seconds=seconds) for seed, seconds in ((1, 9.0), (2, 18.0), (3, 36.0))],
        SQLITE,
        is_held=False,
    )

    assert (measured.low, measured.value, measured.high) == (5_000, 10_000, 20_000)
    assert measured.note == "3 seeds, 6,000 check-ins, 21,000 checks"
    assert measured.bar is None


def test_a_simulation_that_found_something_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match=r"I3: it fell.*--seed 2 --devices 100"):
        figure([_outcome(1, cpu_seconds=9.0), _outcome(2, cpu_seconds=1.0, broken="I3: it fell")], SQLITE, is_held=True)
