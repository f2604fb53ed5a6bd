"""Values in words, for people: pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

_STEPS: Final = (
    (timedelta(minutes=1), timedelta(seconds=1), "second"),
    (timedelta(hours=1), timedelta(minutes=1), "minute"),
    (timedelta(days=1), timedelta(hours=1), "hour"),
    (timedelta.max, timedelta(days=1), "day"),
)


def ago(at: datetime, now: datetime) -> str:
    """Say how long ago a moment was, in its largest whole unit."""
    passed = max(now - at, timedelta(0))
    for limit, unit, name in _STEPS:
        if passed < limit:
            count = passed // unit
            return "just now" if count < 5 and name == "second" else f"{count} {name}{'' if count == 1 else 's'} ago"
    raise AssertionError("the last step has no limit")


def yes_no(value: bool | None) -> str:
    """Say yes, no, or nothing where it is not known."""
    return "" if value is None else "yes" if value else "no"


def plain(value: Any) -> str:
    """Write a JSON value on one line."""
    match value:
        case None:
            return ""
        case bool():
            return yes_no(value)
        case list() | tuple():
            return "; ".join(plain(item) for item in value)
        case dict():
            return ", ".join(f"{name} {plain(item)}" for name, item in value.items())
        case _:
            return str(value)
