"""When scans start, from what policies say: calendar expressions as systemd reads them (systemd.time(7)). Pure.

A policy knows a daily quick scan, at a time of day or every so many hours from it on, and a weekly scan, quick or full.
The numbers of the weekdays are those of the Linux settings: 0 never, 1 Sunday to 7 Saturday, 8 every day; those of
macOS differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

DAILY_TIME: Final = "scheduledScan.dailyConfiguration.timeOfDay"
DAILY_HOURS: Final = "scheduledScan.dailyConfiguration.interval"
WEEKLY_DAY: Final = "scheduledScan.weeklyConfiguration.dayOfWeek"
WEEKLY_TIME: Final = "scheduledScan.weeklyConfiguration.timeOfDay"
WEEKLY_TYPE: Final = "scheduledScan.weeklyConfiguration.scanType"
RANDOMIZE_HOURS: Final = "scheduledScan.randomizeScanStartTime"

_DAYS: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_NEVER: Final = 0
_EVERY_DAY: Final = 8
_DEFAULT_WEEKLY_MINUTES: Final = 120
_DAY_MINUTES: Final = 1440


class Schedule(Struct, frozen=True, kw_only=True):
    """The moments at which scans start."""

    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    spread_seconds: int = 0
    """By how much each start is moved, at random."""


def of_values(values: Mapping[str, Any]) -> Schedule:
    """Read the typed values of settings."""
    weekly = _weekly(values)
    is_full = values.get(WEEKLY_TYPE) == "full"
    quick = [*_daily(values), *(() if is_full else weekly)]
    return Schedule(
        quick=tuple(dict.fromkeys(quick)),
        full=tuple(weekly) if is_full else (),
        spread_seconds=int(values.get(RANDOMIZE_HOURS, 0)) * 3600,
    )


def _daily(values: Mapping[str, Any]) -> list[str]:
    start, hours = values.get(DAILY_TIME), int(values.get(DAILY_HOURS, 0))
    if hours > 0:
        minutes = sorted({((start or 0) + 60 * hour) % _DAY_MINUTES for hour in range(0, 24, hours)})
        return [_at("", each) for each in minutes]
    return [] if start is None else [_at("", int(start))]


def _weekly(values: Mapping[str, Any]) -> list[str]:
    day = int(values.get(WEEKLY_DAY, _NEVER))
    if not _NEVER < day <= _EVERY_DAY:
        return []  # never, or what no policy could have said
    name = "" if day == _EVERY_DAY else f"{_DAYS[day - 1]} "
    return [_at(name, int(values.get(WEEKLY_TIME, _DEFAULT_WEEKLY_MINUTES)))]


def _at(day: str, minutes: int) -> str:
    hour, minute = divmod(minutes % _DAY_MINUTES, 60)
    return f"{day}*-*-* {hour:02}:{minute:02}:00"
