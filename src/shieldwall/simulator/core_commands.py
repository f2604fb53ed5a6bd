"""``shieldwall-sim core``: run simulations of the real server and the real agent, and show how they ended."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, TextIO

import structlog
import typer

from shieldwall.cli.presentation import show_facts, show_json, show_table
from shieldwall.simulator.core.faults import NONE, Faults
from shieldwall.simulator.core.plan import Outcome, Plan
from shieldwall.simulator.core.server import in_memory
from shieldwall.simulator.core.watch import NAMES
from shieldwall.simulator.core.world import simulate

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
SeedOption = Annotated[int, typer.Option(help="What all chance follows from: the same seed is the same history.")]


def core(
    *,
    seed: SeedOption = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Run so many simulations, each with the next seed.")] = 1,
    devices: Annotated[int, typer.Option(min=1, max=10_000, help="Devices in each of them.")] = 100,
    hours: Annotated[float, typer.Option(min=1, help="Hours that go wrong; the time to come right follows.")] = 24.0,
    acts: Annotated[float, typer.Option(min=0, help="Changes by administrators an hour.")] = 1.0,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that share the simulations; each has one at a time.")
    ] = 1,
    without_faults: Annotated[bool, typer.Option("--without-faults", help="Let nothing go wrong.")] = False,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every line of the last history; of one process alone.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let the real agent meet the real gateway in one process, with time, chance, disks and network of the simulation.

    Requests and answers are lost, repeated and late; agents are killed at any write; disks fill up and are set back;
    clocks jump; identities are copied; the server restarts. After every step the simulation asks whether what
    must never happen did (docs/simulator.md names it all). It ends with 1 where it did, and says how to see that again.
    """
    plans = [
        Plan(seed=each, devices=devices, hours=hours, acts_an_hour=acts, faults=NONE if without_faults else Faults())
        for each in range(seed, seed + seeds)
    ]
    begun = time.perf_counter()
    if processes > 1:
        outcomes = _side_by_side(plans, processes)
    else:
        outcomes = []
        for plan in plans:
            with in_memory() as directory, _opened(trace) as out, _shown(plan, quiet=as_json) as progress:
                outcomes.append(simulate(plan, directory, out=out, progress=progress))
            if outcomes[-1].broken is not None:
                break
    took = time.perf_counter() - begun
    if as_json:
        total = sum(each.device_hours for each in outcomes)
        told = {
            "deviceHours": round(total, 1),
            "seconds": round(took, 2),
            "deviceHoursAMinute": round(total / took * 60),
        }
        show_json({"simulations": [in_json(each) for each in outcomes], "invariants": NAMES, "altogether": told})
    else:
        _show(outcomes, took)
    if any(each.broken is not None for each in outcomes):
        raise typer.Exit(1)


def _side_by_side(plans: list[Plan], processes: int) -> list[Outcome]:
    """Run plans in processes of their own, and return how they ended in the order of the plans."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_alone, plans))


def _alone(plan: Plan) -> Outcome:
    """Run one plan in this process."""
    hush()
    with in_memory() as directory:
        return simulate(plan, directory)


def hush() -> None:
    """Let the gateway in this process log nothing: what it refuses is what a simulation provokes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def in_json(outcome: Outcome) -> dict[str, Any]:
    """Write an outcome for programs."""
    return {
        "seed": outcome.plan.seed,
        "devices": outcome.plan.devices,
        "hours": outcome.plan.hours,
        "deviceHours": round(outcome.device_hours, 1),
        "seconds": round(outcome.seconds, 2),
        "cpuSeconds": round(outcome.cpu_seconds, 2),
        "deviceHoursAMinute": round(outcome.device_hours_a_minute),
        "deviceHoursACpuMinute": round(outcome.device_hours_a_cpu_minute),
        "digest": outcome.digest,
        "checks": outcome.checks,
        "events": dict(sorted(outcome.counts.items())),
        "broken": outcome.broken,
        "replay": replay(outcome),
        "last": list(outcome.last),
    }


def replay(outcome: Outcome) -> str:
    """Return the command that runs the same simulation again."""
    plan = outcome.plan
    without = " --without-faults" if plan.faults == NONE else ""
    return (
        f"shieldwall-sim core --seed {plan.seed} --devices {plan.devices} --hours {plan.hours:g} "
        f"--acts {plan.acts_an_hour:g}{without}"
    )


def _show(outcomes: list[Outcome], took: float) -> None:
    show_table(
        ("Seed", "Device-hours", "Seconds", "A minute", "A CPU minute", "Checks", "History", "Ended"),
        [
            (
                each.plan.seed,
                f"{each.device_hours:,.0f}",
                f"{each.seconds:.1f}",
                f"{each.device_hours_a_minute:,.0f}",
                f"{each.device_hours_a_cpu_minute:,.0f}",
                f"{each.checks:,}",
                each.digest[:12],
                "well" if each.broken is None else "broken",
            )
            for each in outcomes
        ],
    )
    hours = sum(each.device_hours for each in outcomes)
    typer.echo(
        f"\n{hours:,.0f} device-hours in {took:.1f} s, with all that was started: {hours / took * 60:,.0f} a minute"
    )
    total: dict[str, int] = {}
    for each in outcomes:
        for name, count in each.counts.items():
            total[name] = total.get(name, 0) + count
    typer.echo()
    show_table(("What happened", "Times"), [(name, f"{count:,}") for name, count in sorted(total.items())])
    for each in outcomes:
        if each.broken is not None:
            typer.echo()
            show_facts((("Broken", each.broken), ("To see it again", replay(each))))
            for line in each.last:
                typer.echo(f"  {line}")


@contextlib.contextmanager
def _opened(trace: Path | None) -> Iterator[TextIO | None]:
    if trace is None:
        yield None
        return
    with trace.open("w", encoding="utf-8") as out:
        yield out


@contextlib.contextmanager
def _shown(plan: Plan, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show at a terminal how far a simulation is."""
    from rich.console import Console  # noqa: PLC0415 - takes longer to import than --help to print
    from rich.progress import Progress  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    with Progress(console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(f"Seed {plan.seed}: {plan.devices} devices, {plan.hours:g} hours", total=1.0)
        yield lambda share: bar.update(task, completed=share)
