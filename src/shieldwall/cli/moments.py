"""Moments as people say them: how long ago, or a date; and as they read them: in their own time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from shieldwall.contract.errors import ShieldwallError

_AGO: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class InvalidMomentError(ShieldwallError):
    """A text is no moment."""

    code = "invalidMoment"
    remedy = "Say how long ago, such as 30m, 24h or 7d, or a moment such as 2026-11-23 or 2026-11-23T12:00:00Z."


def present() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the edge of the program


def parsed_moment(text: str, now: datetime) -> datetime:
    """Read how long ago, or a moment; one without a zone is UTC. Raises: InvalidMomentError."""
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidMomentError(f"{text[:64]!r} is no moment.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def moment_in_words(text: str | None, now: datetime, zone: tzinfo | None = None) -> str:
    """Say when something was, in a zone (that of this machine where none is given).

    Today and yesterday by their names, other days by their date; a dash for never, and what is no moment as it stands.
    """
    if not text:
        return "-"
    try:
        at = datetime.fromisoformat(text).astimezone(zone)
    except ValueError:
        return text
    days = (now.astimezone(zone).date() - at.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, f"{at:%Y-%m-%d}")
    return f"{day} {at:%H:%M:%S}"
