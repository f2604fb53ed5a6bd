"""Everybody starts anew within a minute, a million devices: how long until each of them was served.

A million cannot come to this machine, so they come in the simulator: they wait by the agent's own functions, the
gateway's own admission lets them in or sends them away, and a check-in takes what it was measured to take here
(``results.json``) on each of the engines, on the two processors of a small server. That no report is lost and no other
error answered is tried with real programs in ``returning`` and in ``tests/campaigns``.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import results
from benchmarks.bars import CHECK_IN_TO_NGINX, HERD
from benchmarks.clusters import ENGINES
from benchmarks.figures import Bar, Engine, Figure, percentile
from shieldwall.simulator.day.course import Course
from shieldwall.simulator.day.gateway import Costs
from shieldwall.simulator.day.plan import DayPlan

FLEET = 1_000_000
_STORM_AT = 9.0


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Take the fleet through a day in whose morning all who are on come at once, once for what each engine costs."""
    del home
    return [_served(20_000 if quick else FLEET, engine, None if quick else HERD) for engine in ENGINES]


def _served(fleet: int, engine: Engine, bar: Bar | None) -> Figure:
    costs = _costs(engine)
    day = Course(DayPlan(devices=fleet, storm_at=_STORM_AT, outage_minutes=0, costs=costs)).run()
    (herd,) = (each for each in day.herds if each.name == "everybody starts anew")
    minutes = [seconds / 60 for part in herd.served_seconds for seconds in part]
    all_served = None if herd.served_at is None else (herd.served_at - herd.at) / 60
    note = (
        f"simulated: {herd.size:,} of {fleet:,} were on; {costs.quiet:.0f} µs a check-in, {costs.sent_away:.0f} µs "
        f"for who is sent away, {costs.processors:.0f} processors; half after {percentile(minutes, 0.5):.1f} min"
    )
    what = f"everybody of {fleet:,} devices starts anew within a minute: until the last is served"
    if all_served is None:
        return Figure.missing(what, "min", f"{herd.left:,} were not served by midnight; {note}", engine=engine, bar=bar)
    return Figure(what, all_served, "min", engine=engine, bar=bar, note=note)


def _costs(engine: Engine) -> Costs:
    """Return what was measured here; without it what the simulator takes for granted."""
    figures = [figure for one in results.read() for figure in one.figures if figure.engine == engine]
    kept = [figure for figure in figures if figure.bar == CHECK_IN_TO_NGINX]
    measured = next((figure.value for figure in kept if figure.value is not None), None)
    return Costs() if measured is None else Costs(quiet=measured)
