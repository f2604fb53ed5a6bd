from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import NOON

from shieldwall.server.events.judging import (
    GIVE_UP_AFTER,
    LONGEST_PAUSE,
    LONGEST_RETRY_AFTER,
    MOST_REFUSALS,
    Attempt,
    Delivered,
    LeaveOut,
    SwitchOff,
    TryAgain,
    Verdict,
    asked_pause,
    in_words,
    judge,
    pause,
)

STATUSES = st.none() | st.integers(100, 599)


def draw(least: int, most: int) -> int:
    return (least + most) // 2


def judged(status: int | None, *, failures: int = 0, days: float | None = None, retry_after: str = "") -> Verdict:
    since = None if days is None else NOON - timedelta(days=days)
    attempt = Attempt(status=status, retry_after=retry_after)
    return judge(attempt, failures=failures, failing_since=since, now=NOON, draw=draw)


@given(st.integers(200, 299), st.integers(0, 1_000))
def test_every_status_of_success_is_one_whatever_was_before(status: int, failures: int) -> None:
    assert judged(status, failures=failures, days=30) == Delivered()


@given(STATUSES, st.integers(0, 1_000), st.none() | st.floats(0, 10))
def test_every_failure_ends_in_three_days_or_is_tried_later(
    status: int | None, failures: int, days: float | None
) -> None:
    match judged(status, failures=failures, days=days):
        case Delivered():
            assert status is not None
            assert 200 <= status < 300
        case TryAgain(at=at):
            assert NOON < at <= NOON + LONGEST_PAUSE * 1.2
            assert days is None or timedelta(days=days) < GIVE_UP_AFTER
        case LeaveOut():
            assert failures + 1 >= MOST_REFUSALS
        case SwitchOff():
            assert status == 410 or (days is not None and timedelta(days=days) >= GIVE_UP_AFTER)


@given(st.integers(0, 200), st.integers(800, 1_200))
def test_pauses_grow_up_to_a_bound_and_stray_by_a_fifth(failures: int, drawn: int) -> None:
    this, following = pause(failures, lambda *_: drawn), pause(failures + 1, lambda *_: drawn)
    assert timedelta(seconds=4) <= this <= following <= LONGEST_PAUSE * 1.2


def test_three_days_hold_some_twenty_attempts() -> None:
    at, attempts = timedelta(), 0
    while at < GIVE_UP_AFTER:
        at += pause(attempts, draw)
        attempts += 1
    assert 15 <= attempts <= 25


@pytest.mark.parametrize("status", [400, 413, 422])
def test_who_blames_the_message_is_spared_it_in_the_end(status: int) -> None:
    assert isinstance(judged(status, failures=MOST_REFUSALS - 2), TryAgain)
    assert judged(status, failures=MOST_REFUSALS - 1) == LeaveOut()


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 302, None])
def test_who_blames_anything_else_is_asked_again(status: int | None) -> None:
    assert isinstance(judged(status, failures=100), TryAgain)


def test_who_is_gone_is_asked_no_more() -> None:
    assert isinstance(judged(410), SwitchOff)


def test_the_pause_that_a_receiver_asks_for_is_kept() -> None:
    assert judged(429, retry_after="3600") == TryAgain(at=NOON + timedelta(hours=1))
    assert judged(503, retry_after=format_datetime(NOON + timedelta(hours=2), usegmt=True)) == TryAgain(
        at=NOON + timedelta(hours=2)
    )
    assert judged(429, retry_after="1") == TryAgain(at=NOON + timedelta(seconds=5)), "never less than our own"


@pytest.mark.parametrize(
    "text", ["", "-5", "1.5", "soon", "٣", "Mon, 99 Foo 2026", "Thu, 01 Jan 1970 00:00:00 GMT", "\0", "0x10"]
)
def test_nonsense_asks_for_no_pause(text: str) -> None:
    assert asked_pause(text, NOON) == timedelta()


@given(st.text(max_size=60) | st.integers(0).map(str) | st.datetimes().map(format_datetime))
def test_no_answer_can_make_a_pause_without_an_end(text: str) -> None:
    assert timedelta() <= asked_pause(text, NOON) <= LONGEST_RETRY_AFTER


@given(STATUSES)
def test_every_failure_has_its_words(status: int | None) -> None:
    attempt = Attempt(status=status, cause="Nobody answered.")
    assert bool(in_words(attempt)) != attempt.succeeded
    assert isinstance(NOON, datetime)
