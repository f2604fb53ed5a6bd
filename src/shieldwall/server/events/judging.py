"""What an attempt means: delivered, try again then, leave this event out, or switch the receiver off. Pure.

Receivers get their events in order, so one that fails holds up those behind it, and what is counted is counted for the
receiver. An answer that blames the message itself is tried a few times and then left out: others may be welcome.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

GIVE_UP_AFTER: Final = timedelta(days=3)
"""A receiver that took nothing for so long is switched off."""
FIRST_PAUSE: Final = timedelta(seconds=5)
FACTOR: Final = 3
LONGEST_PAUSE: Final = timedelta(hours=6)
LONGEST_RETRY_AFTER: Final = timedelta(hours=24)
MOST_REFUSALS: Final = 5
"""How often the same event is sent to a receiver that finds fault with it."""
_BLAMES_MESSAGE: Final = frozenset({400, 406, 411, 413, 414, 415, 422, 431})
_GONE: Final = 410
_MOST_DIGITS: Final = 9

Draw: TypeAlias = Callable[[int, int], int]
"""Draws a whole number, both ends included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of sending something once. ``status`` is absent where there was no answer; then ``cause`` says why."""

    status: int | None
    cause: str = ""
    retry_after: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """The receiver shall be asked again, at this moment."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOut:
    """The receiver does not want this one; the next is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOff:
    """Nothing is sent to the receiver any more, until somebody switches it on."""

    because: str


Verdict: TypeAlias = Delivered | TryAgain | LeaveOut | SwitchOff


def judge(attempt: Attempt, *, failures: int, failing_since: datetime | None, now: datetime, draw: Draw) -> Verdict:
    """Say what follows from an attempt.

    Args:
        attempt: What came of it.
        failures: Attempts at the same event that failed before.
        failing_since: When the receiver began to fail, ``None`` where the last attempt succeeded.
        now: The present moment.
        draw: Where the jitter comes from.
    """
    if attempt.succeeded:
        return Delivered()
    if attempt.status == _GONE:
        return SwitchOff(because="The receiver says that it is gone (410).")
    if failing_since is not None and now - failing_since >= GIVE_UP_AFTER:
        return SwitchOff(because=f"Nothing was taken for {GIVE_UP_AFTER.days} days.")
    if attempt.status in _BLAMES_MESSAGE and failures + 1 >= MOST_REFUSALS:
        return LeaveOut()
    return TryAgain(at=now + max(pause(failures, draw), asked_pause(attempt.retry_after, now)))


def pause(failures: int, draw: Draw) -> timedelta:
    """Return how long to wait after one failure more than ``failures``: exponential, capped, a fifth more or less."""
    plain = min(FIRST_PAUSE * int(FACTOR ** min(failures, 16)), LONGEST_PAUSE)
    return plain * draw(800, 1_200) / 1_000


def asked_pause(retry_after: str, now: datetime) -> timedelta:
    """Read the header Retry-After, in seconds or as a date; nothing and nonsense are no pause at all."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:_MOST_DIGITS])), LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return timedelta()
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta()), LONGEST_RETRY_AFTER)


def in_words(attempt: Attempt) -> str:
    """Say why an attempt failed; empty where it did not."""
    if attempt.succeeded:
        return ""
    if attempt.status is None:
        return attempt.cause
    if 300 <= attempt.status < 400:
        return f"The receiver answered {attempt.status}; redirects are not followed."
    return f"The receiver answered {attempt.status}."
