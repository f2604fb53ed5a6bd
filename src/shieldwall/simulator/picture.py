"""A day as a picture: SVG, drawn by hand so that nothing has to be installed to see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

import numpy as np

from shieldwall.simulator.day.people import Floats
from shieldwall.simulator.day.records import Day

_WIDTH: Final = 960
_LEFT: Final = 92
_RIGHT: Final = 30
_PANEL: Final = 150
_GAP: Final = 46
_TOP: Final = 88
_HOURS: Final = 24
_COLOURS: Final = {"ink": "#1b2733", "grid": "#d5dde5", "blue": "#1f6feb", "red": "#c4314b", "green": "#2c8a4b"}
_FONT: Final = f'font-family="sans-serif" font-size="12" fill="{_COLOURS["ink"]}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    name: str
    values: Floats
    colour: str
    is_area: bool = False


def picture(day: Day) -> str:
    """Draw check-ins, tries that came to nothing, who lacks what they shall enforce, and the load, by minutes."""
    minutes = day.minutes
    per_second = 1 / 60
    panels: tuple[tuple[str, Sequence[_Line]], ...] = (
        (
            "a second",
            (
                _Line(name="check-ins", values=minutes.check_ins * per_second, colour="blue"),
                _Line(name="not heard", values=minutes.unheard * per_second, colour="green"),
                _Line(name="sent away (503)", values=minutes.sent_away * per_second, colour="red"),
            ),
        ),
        (
            "tries a second while nobody answers",
            (_Line(name="", values=minutes.unanswered * per_second, colour="red", is_area=True),),
        ),
        (
            "devices",
            (
                _Line(name="awake", values=minutes.awake.astype(float), colour="green"),
                _Line(name="not yet at their target", values=minutes.behind.astype(float), colour="red", is_area=True),
            ),
        ),
        ("% of the processors", (_Line(name="", values=minutes.busy * 100, colour="blue", is_area=True),)),
    )
    height = _TOP + len(panels) * (_PANEL + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" font-size="16">A day of {day.plan.devices:,} devices, seed {day.plan.seed}</text>',
    ]
    parts += _happenings(day, height)
    for number, (unit, lines) in enumerate(panels):
        parts += _panel(_TOP + number * (_PANEL + _GAP), unit, lines)
    return "\n".join([*parts, "</svg>", ""])


def _happenings(day: Day, height: int) -> list[str]:
    plan = day.plan
    marks = [
        (plan.outage_at, f"outage, {plan.outage_minutes:g} min"),
        (plan.push_at, "policy push"),
        (plan.rule_at, "rule change"),
    ]
    if plan.storm_at is not None:
        marks.append((plan.storm_at, "all start anew"))
    found = []
    for level, (hour, name) in enumerate(sorted(marks)):
        x = _x(hour / _HOURS)
        y = 42 + 13 * (level % 2)
        found.append(
            f'<line x1="{x:.1f}" y1="{y + 3}" x2="{x:.1f}" y2="{height - _GAP}" stroke="#8795a3" '
            'stroke-dasharray="3 3"/>'
        )
        found.append(f'<text x="{x + 4:.1f}" y="{y + 4}" font-size="11">{escape(name)}</text>')
    return found


def _panel(top: int, unit: str, lines: Sequence[_Line]) -> list[str]:
    most = _round_up(max(float(line.values.max()) for line in lines))
    bottom = top + _PANEL
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * _PANEL
        parts.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_COLOURS["grid"]}"/>'
        )
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share * most:,.10g}</text>')
    parts.extend(
        f'<text x="{_x(hour / _HOURS):.1f}" y="{bottom + 16}" text-anchor="middle">{hour:02d}:00</text>'
        for hour in range(0, _HOURS + 1, 3)
    )
    x = _LEFT
    named = [line for line in lines if line.name]
    parts.append(f'<text x="{x}" y="{top - 6}" font-weight="bold">{escape(unit)}</text>')
    x += 8 * len(unit) + 16
    for line in named:
        parts.append(f'<rect x="{x}" y="{top - 15}" width="10" height="10" fill="{_COLOURS[line.colour]}"/>')
        parts.append(f'<text x="{x + 14}" y="{top - 6}">{escape(line.name)}</text>')
        x += 8 * len(line.name) + 30
    parts += [_drawn(line, bottom, most) for line in lines]
    return parts


def _drawn(line: _Line, bottom: int, most: float) -> str:
    heights = np.round(bottom - line.values / most * _PANEL, 1)
    turns = np.flatnonzero(np.diff(heights))  # where it runs level, both ends of that say it all
    places = np.unique(np.concatenate(([0], turns, turns + 1, [len(heights) - 1])))
    size = len(heights)
    points = [f"{_x((place + 0.5) / size):.1f},{heights[place]:.1f}" for place in places.tolist()]
    colour = _COLOURS[line.colour]
    if line.is_area:
        corners = f"{_x(0):.1f},{bottom} {' '.join(points)} {_x(1):.1f},{bottom}"
        return f'<polygon points="{corners}" fill="{colour}" fill-opacity="0.35" stroke="{colour}" stroke-width="0.8"/>'
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _round_up(value: float) -> float:
    """Return a round number that is not smaller."""
    if value <= 0:
        return 1.0
    unit: float = 10.0 ** np.floor(np.log10(value))
    return float(next(step * unit for step in (1, 2, 2.5, 5, 10) if step * unit >= value))
