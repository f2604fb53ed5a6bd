"""Since when a server has listened, out of the moments at which it counted its devices."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import NOON

from shieldwall.server.inventory.presence import LONGEST_PAUSE, listened_since
from shieldwall.server.manager.samples import EVERY, ended

DAY = timedelta(days=1)
MONTH = 30 * DAY


def daily(since: datetime, until: datetime) -> list[datetime]:
    return [since + day * DAY for day in range((until - since) // DAY + 1)]


def test_a_server_that_was_always_there_has_listened_all_the_time() -> None:
    assert listened_since(daily(NOON - 60 * DAY, NOON), NOON, MONTH) == NOON - MONTH
    assert listened_since([], NOON, MONTH) == NOON - MONTH, "nobody can tell"


def test_what_was_missed_is_made_up_for_before_it() -> None:
    there = daily(NOON - 100 * DAY, NOON - 50 * DAY) + daily(NOON - 10 * DAY, NOON)
    assert listened_since(there, NOON, MONTH) == NOON - 70 * DAY
    assert listened_since(there, NOON, 10 * DAY) == NOON - 10 * DAY
    assert listened_since(there, NOON + 5_000 * DAY, 10 * DAY) == NOON - 10 * DAY, "a clock that jumped"


def test_who_has_not_listened_so_long_yet_says_so() -> None:
    assert listened_since(daily(NOON - 29 * DAY, NOON), NOON, MONTH) is None
    assert listened_since([NOON + DAY], NOON, MONTH) is None, "counted while the clock was ahead"


def test_no_sample_is_let_go_of_that_shows_a_server_was_there() -> None:
    """Whatever the time of day, and however long ago."""
    for hours in (0, 7, 23):
        now = NOON + timedelta(hours=hours)
        taken = [now - EVERY * 12 * number for number in range(24 * 300)]
        kept = sorted(set(taken) - ended(taken, now))
        assert max(later - earlier for earlier, later in pairwise(kept)) <= LONGEST_PAUSE
        assert listened_since(kept, now, 270 * DAY) == now - 270 * DAY


@given(st.sets(st.integers(min_value=-400, max_value=30), max_size=60), st.integers(min_value=1, max_value=270))
def test_it_has_never_listened_longer_than_there_was_time(ago: set[int], days: int) -> None:
    since = listened_since(sorted(NOON + each * DAY for each in ago), NOON, days * DAY)
    assert since is None or since <= NOON - days * DAY
