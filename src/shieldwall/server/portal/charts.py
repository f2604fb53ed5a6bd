"""Charts over time as numbers on a plane: pure. Templates draw them as SVG, and print the same figures as a table.

A chart shows what was counted at certain moments. Of each stretch of its time the last count is drawn, never a mean
that nobody counted; where nothing was counted for a while, lines end and begin again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WIDTH, HEIGHT = 440, 180
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 24
_POINTS: Final = 96
"""Stretches into which the time of a chart is cut."""
_GAP: Final = 4
"""Stretches without a count over which no line is drawn."""
_STEPS: Final = (1, 2, 5, 10)
_LINES: Final = 4
_MOMENTS: Final = 4
_ROWS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: its name for people, its class in the style sheet, and a value for each moment of the chart."""

    name: str
    style: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One series as it is drawn: paths of its lines, or of its areas where the chart is stacked."""

    name: str
    style: str
    path: str
    latest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis: where it stands, and what it says: a number, or a moment."""

    place: float
    value: float = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the table beside a chart says of one moment."""

    at: datetime
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart over time, ready to be drawn; without shapes there is nothing to draw yet."""

    shapes: tuple[Shape, ...] = ()
    levels: tuple[Tick, ...] = ()
    moments: tuple[Tick, ...] = ()
    rows: tuple[Row, ...] = ()
    is_stacked: bool = False
    shows_days: bool = False
    """Whether the moments are days apart, so that the hour says nothing."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    """Between these places along the width lies what is drawn."""


def chart(
    moments: Sequence[datetime],
    series: Sequence[Series],
    *,
    until: datetime,
    span: timedelta,
    is_stacked: bool = False,
) -> Chart:
    """Lay out a chart of the time before ``until``. ``moments`` are in order, and each series has a value for each."""
    chosen = _chosen(moments, until, span)
    if len(chosen) < 2:
        return Chart()
    heights = [[each.values[place] for place, _ in chosen] for each in series]
    tops = _sums(heights) if is_stacked else heights
    highest, levels = _levels(max((max(line) for line in tops), default=0))
    xs = [_x(moments[place], until, span) for place, _ in chosen]
    runs = _runs([number for _, number in chosen])
    shapes = []
    for number, each in enumerate(series):
        ys = [_y(value, highest) for value in tops[number]]
        floor = [_y(value, highest) for value in tops[number - 1]] if number else [_y(0, highest)] * len(xs)
        path = " ".join(_area(xs[run], ys[run], floor[run]) if is_stacked else _line(xs[run], ys[run]) for run in runs)
        shapes.append(Shape(name=each.name, style=each.style, path=path, latest=heights[number][-1]))
    return Chart(
        shapes=tuple(shapes),
        levels=levels,
        moments=tuple(_moments(until, span)),
        rows=tuple(_rows(moments, [place for place, _ in chosen], series)),
        is_stacked=is_stacked,
        shows_days=span > timedelta(days=2),
    )


def spark(values: Sequence[float], *, width: int = 120, height: int = 28) -> str:
    """Return the path of a small line without axes; empty where there is nothing to draw."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    step = width / (len(values) - 1)
    room = height - 4
    ys = [height / 2 if high == low else 2 + room * (high - value) / (high - low) for value in values]
    return _line([step * number for number in range(len(values))], ys)


def _chosen(moments: Sequence[datetime], until: datetime, span: timedelta) -> list[tuple[int, int]]:
    """Return the last moment of each stretch, as its place in the list, with the number of the stretch."""
    stretch = span / _POINTS
    last: dict[int, int] = {}
    for place, at in enumerate(moments):
        if until - span <= at <= until:
            last[int((at - (until - span)) / stretch)] = place
    return [(place, number) for number, place in sorted(last.items())]


def _sums(heights: Sequence[Sequence[float]]) -> list[list[float]]:
    found: list[list[float]] = []
    for line in heights:
        below = found[-1] if found else [0.0] * len(line)
        found.append([value + under for value, under in zip(line, below, strict=True)])
    return found


def _runs(numbers: Sequence[int]) -> list[slice]:
    """Cut the points where nothing was counted for too long."""
    starts = [0]
    starts += [place for place in range(1, len(numbers)) if numbers[place] - numbers[place - 1] > _GAP]
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True)]


def _levels(highest: float) -> tuple[float, tuple[Tick, ...]]:
    """Choose round numbers for the vertical axis; return what its top stands for."""
    step = 1.0
    while step * _LINES < highest:
        base = 10 ** (len(str(int(step))) - 1)
        step = next(base * each for each in _STEPS if base * each > step)
    count = max(1, -(-int(-(-highest // 1)) // int(step)))
    top = step * count
    return top, tuple(Tick(place=_y(step * number, top), value=step * number) for number in range(count + 1))


def _moments(until: datetime, span: timedelta) -> list[Tick]:
    found = []
    for number in range(_MOMENTS + 1):
        at = until - span + span * number / _MOMENTS
        found.append(Tick(place=_x(at, until, span), at=at))
    return found


def _rows(moments: Sequence[datetime], places: Sequence[int], series: Sequence[Series]) -> list[Row]:
    """Choose a dozen of the moments that are drawn, the newest first."""
    step = max(1, -(-len(places) // _ROWS))
    return [
        Row(at=moments[place], values=tuple(each.values[place] for each in series)) for place in places[::-1][::step]
    ]


def _x(at: datetime, until: datetime, span: timedelta) -> float:
    return round(WIDTH - RIGHT - (until - at) / span * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, highest: float) -> float:
    return round(HEIGHT - BOTTOM - value / highest * (HEIGHT - TOP - BOTTOM), 1)


def _line(xs: Sequence[float], ys: Sequence[float]) -> str:
    points = [f"{x:g},{y:g}" for x, y in zip(xs, ys, strict=True)]
    # A single point is drawn too: a line of no length with round ends.
    return f"M{points[0]}h0" if len(points) == 1 else "M" + "L".join(points)


def _area(xs: Sequence[float], ys: Sequence[float], floor: Sequence[float]) -> str:
    back = [f"{x:g},{y:g}" for x, y in zip(xs[::-1], floor[::-1], strict=True)]
    return _line(xs, ys).removesuffix("h0") + "L" + "L".join(back) + "Z"
