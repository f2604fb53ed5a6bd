"""Points in time as they stand in documents: RFC 3339 in UTC, such as ``2026-11-23T19:00:00Z``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z\Z")


def write(moment: datetime) -> str:
    """Write a moment, cut to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_exactly(moment: datetime) -> str:
    """Write a moment to the millisecond: where two of them are compared, a second is long."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(text: str) -> datetime:
    """Read a moment; fractions of a second are allowed. Raises: ValueError."""
    if not _MOMENT.match(text):
        raise ValueError(f"{text[:40]!r} is not a time such as 2026-11-23T19:00:00Z.")
    return datetime.fromisoformat(text)
