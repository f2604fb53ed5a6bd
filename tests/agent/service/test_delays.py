"""How long the agent waits, for every input."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.service.delays import after_failure, until_next

chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(st.integers())
def test_no_server_silences_or_drives_a_device(seconds: int) -> None:
    assert 300 <= until_next(seconds) <= 21_600
    assert until_next(seconds) in {300, 21_600, seconds}


@given(st.integers(min_value=0, max_value=10**9), chances)
def test_a_retry_comes_within_half_an_hour_and_never_at_once(failures: int, chance: float) -> None:
    assert 1 <= after_failure(failures, chance=chance) <= 240


@given(st.integers(min_value=1, max_value=12))
def test_the_bound_doubles_with_every_failure(failures: int) -> None:
    bound = after_failure(failures, chance=1.0)
    assert bound == min(30 * 2 ** (failures - 1), 240)
    assert after_failure(failures, chance=0.5) == bound / 2


@given(st.integers(min_value=0, max_value=10**8), chances)
def test_what_a_server_asks_for_is_honoured_within_limits(seconds: int, chance: float) -> None:
    delay = after_failure(1, chance=chance, retry_after_seconds=seconds)

    assert 5 <= delay <= 3_600
    if 5 <= seconds <= 3_600:
        assert min(seconds, 3_600) <= delay <= seconds * 1.1
