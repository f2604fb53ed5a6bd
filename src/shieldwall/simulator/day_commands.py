"""``shieldwall-sim day``: a fleet lives through twenty-four hours, and the server's day is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from shieldwall.cli.presentation import show_facts, show_json, show_table
from shieldwall.simulator.core_commands import JsonOption, SeedOption
from shieldwall.simulator.day.course import Course
from shieldwall.simulator.day.gateway import Costs
from shieldwall.simulator.day.plan import DayPlan
from shieldwall.simulator.day.records import MINUTES_AN_HOUR, Change, Day, Herd
from shieldwall.simulator.picture import picture

_PLAIN = DayPlan()
_HOUR_OF_DAY = {"min": 0.0, "max": 23.9}


def day(
    *,
    seed: SeedOption = 1,
    devices: Annotated[int, typer.Option(min=100, max=10_000_000, help="How many there are.")] = _PLAIN.devices,
    outage_at: Annotated[float, typer.Option(**_HOUR_OF_DAY, help="Hour at which the server goes away.")] = 11.0,
    outage_minutes: Annotated[float, typer.Option(min=0, max=600, help="For how long.")] = _PLAIN.outage_minutes,
    push_at: Annotated[
        float, typer.Option(**_HOUR_OF_DAY, help="Hour at which a policy of all laptops changes.")
    ] = 14.0,
    rule_at: Annotated[float, typer.Option(**_HOUR_OF_DAY, help="Hour at which the rule of a group changes.")] = 16.0,
    storm_at: Annotated[
        float | None,
        typer.Option(**_HOUR_OF_DAY, help="Hour at which everybody who is on starts anew within a minute."),
    ] = None,
    woken: Annotated[
        float, typer.Option(min=0, help="Devices a second that are told to come when a change reaches them; 0: none.")
    ] = 0.0,
    cost: Annotated[
        float,
        typer.Option(min=1, help="Microseconds of a processor for a check-in without news, as `load` measures it."),
    ] = Costs().quiet,
    news_cost: Annotated[float, typer.Option(min=1, help="The same for one that brings a new policy.")] = Costs().news,
    away_cost: Annotated[float, typer.Option(min=1, help="The same for one that is sent away.")] = Costs().sent_away,
    processors: Annotated[float, typer.Option(min=0.1, help="Processors of the server.")] = Costs().processors,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the day into a file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a fleet through a day with an outage, a policy push and a rule change, and show it hour by hour.

    Devices are columns of numbers that wait by the agent's own functions. What each shall enforce is in the server's
    own targeting index; who is let in and when the others come back is decided by the gateway's own admission. The
    server itself is a queue with so much processor time a check-in.
    """
    plan = DayPlan(
        seed=seed,
        devices=devices,
        outage_at=outage_at,
        outage_minutes=outage_minutes,
        push_at=push_at,
        rule_at=rule_at,
        storm_at=storm_at,
        woken_per_second=woken,
        costs=Costs(quiet=cost, news=news_cost, sent_away=away_cost, processors=processors),
    )
    with _shown(devices, quiet=as_json) as progress:
        found = Course(plan, progress).run()
    if svg is not None:
        svg.write_text(picture(found), encoding="utf-8")
    if as_json:
        show_json(in_json(found))
    else:
        _show(found)


def in_json(day: Day) -> dict[str, Any]:
    """Write a day for programs."""
    return {
        "seed": day.plan.seed,
        "devices": day.plan.devices,
        "hours": [_hour(day, hour) for hour in range(24)],
        "changes": [_change(each) for each in day.changes],
        "herds": [_herd(each) for each in day.herds],
        "indexBuiltCpuSeconds": round(day.built_seconds, 2),
        "seconds": round(day.seconds, 1),
        "cpuSeconds": round(day.cpu_seconds, 1),
        "digest": day.digest,
    }


def _hour(day: Day, hour: int) -> dict[str, Any]:
    minutes = day.minutes
    first, last = hour * MINUTES_AN_HOUR, (hour + 1) * MINUTES_AN_HOUR
    part = slice(first, last)
    return {
        "hour": hour,
        "awake": int(minutes.awake[first]),
        "checkIns": int(minutes.check_ins[part].sum()),
        "withNews": int(minutes.news[part].sum()),
        "sentAway": int(minutes.sent_away[part].sum()),
        "unheard": int(minutes.unheard[part].sum()),
        "unanswered": int(minutes.unanswered[part].sum()),
        "mostUnderWay": int(minutes.backlog[part].max()),
        "waitP99Seconds": round(minutes.wait(0.99, first, last), 4),
        "behindAtItsEnd": int(minutes.behind[last - 1]),
        "busy": round(float(minutes.busy[part].mean()), 4),
        "busiestMinute": round(float(minutes.busy[part].max()), 4),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "name": change.name,
        "hour": change.at / 3600,
        "awake": len(change.devices),
        "asleep": change.asleep,
        "offBeforeTheyCame": change.missed,
        "indexCpuMilliseconds": round(change.cpu_seconds * 1000, 2),
        "reachedIn10Minutes": round(change.within(600), 4),
        "reachedIn99Minutes": round(change.within(5_940), 4),
        "medianSeconds": _rounded(change.seconds_for(0.5)),
        "p99Seconds": _rounded(change.seconds_for(0.99)),
    }


def _herd(herd: Herd) -> dict[str, Any]:
    return {
        "name": herd.name,
        "hour": round(herd.at / 3600, 3),
        "devices": herd.size,
        "left": herd.left,
        "halfServedSeconds": _rounded(herd.seconds_for(0.5)),
        "p90ServedSeconds": _rounded(herd.seconds_for(0.9)),
        "p99ServedSeconds": _rounded(herd.seconds_for(0.99)),
        "allServedSeconds": None if herd.served_at is None else round(herd.served_at - herd.at, 1),
        "longestFromFirstTrySeconds": round(herd.longest, 1),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _show(day: Day) -> None:
    columns = (
        "Hour",
        "Awake",
        "Check-ins",
        "With news",
        "Sent away",
        "Unheard",
        "Unanswered",
        "Most under way",
        "Wait p99",
    )
    show_table(
        (*columns, "Behind", "Load", "Busiest minute"),
        [
            (
                f"{each['hour']:02d}:00",
                *(f"{each[name]:,}" for name in ("awake", "checkIns", "withNews", "sentAway", "unheard", "unanswered")),
                f"{each['mostUnderWay']:,}",
                _time(each["waitP99Seconds"]),
                f"{each['behindAtItsEnd']:,}",
                f"{each['busy']:.1%}",
                f"{each['busiestMinute']:.1%}",
            )
            for each in (_hour(day, hour) for hour in range(24))
        ],
    )
    typer.echo()
    show_table(
        (
            "Change",
            "At",
            "Reaches",
            "Asleep",
            "Off before they came",
            "Index",
            "In 10 min",
            "In 99 min",
            "Median",
            "p99",
        ),
        [
            (
                each["name"],
                _clock(each["hour"]),
                f"{each['awake']:,}",
                f"{each['asleep']:,}",
                f"{each['offBeforeTheyCame']:,}",
                f"{each['indexCpuMilliseconds']:.1f} ms CPU",
                f"{each['reachedIn10Minutes']:.1%}",
                f"{each['reachedIn99Minutes']:.1%}",
                _time(each["medianSeconds"]),
                _time(each["p99Seconds"]),
            )
            for each in map(_change, day.changes)
        ],
    )
    typer.echo()
    show_table(
        (
            "Herd",
            "At",
            "Devices",
            "Half served after",
            "90 %",
            "99 %",
            "All",
            "Longest from the first try",
            "Never served",
        ),
        [
            (
                each["name"],
                _clock(each["hour"]),
                f"{each['devices']:,}",
                *(_time(each[f"{name}ServedSeconds"]) for name in ("half", "p90", "p99", "all")),
                _time(each["longestFromFirstTrySeconds"]),
                f"{each['left']:,}",
            )
            for each in map(_herd, day.herds)
        ],
    )
    typer.echo()
    show_facts(
        (
            ("Check-ins", f"{int(day.minutes.check_ins.sum()):,}"),
            ("Index told of everybody", f"{day.built_seconds:.1f} s CPU"),
            ("Simulated in", f"{day.seconds:.0f} s, {day.cpu_seconds:.0f} s CPU"),
            ("History", day.digest),
        )
    )


def _clock(hour: float) -> str:
    return f"{int(hour):02d}:{round(hour % 1 * 60):02d}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "not that day"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


@contextlib.contextmanager
def _shown(devices: int, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show at a terminal how far the day is."""
    from rich.console import Console  # noqa: PLC0415 - takes longer to import than --help to print
    from rich.progress import Progress  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    with Progress(console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(f"{devices:,} devices", total=1.0)
        yield lambda share: bar.update(task, completed=share)
