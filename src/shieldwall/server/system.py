"""The world outside as it really is: the clock and the sources of ids and chance of a running server."""

from __future__ import annotations

import itertools
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock that everyone else takes as a parameter


def new_id() -> str:
    """Return a new random UUID."""
    return str(uuid.uuid4())  # noqa: TID251 - this is the source of ids that everyone else takes as a parameter


class RequestIds:
    """Names requests, to find them in the log: random for each start of a process, then counted.

    Asking the system for randomness at every request would give the interpreter's lock away each time.
    """

    def __init__(self) -> None:
        self._start = secrets.token_hex(6)
        self._count = itertools.count(1)

    def __call__(self) -> str:
        """Return the next name."""
        return f"{self._start}-{next(self._count):x}"


def draw_between(least: int, most: int) -> int:
    """Draw a whole number, both ends included."""
    return least + secrets.randbelow(most - least + 1)
