"""How far a device's time may go back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.trust.time_floors import AGREEMENT, lowered

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
MOMENTS = st.builds(
    lambda seconds: NOON + timedelta(seconds=seconds),
    st.one_of(st.integers(-900, 900), st.integers(-(10**9), 10**9)),
)


@given(MOMENTS, MOMENTS, MOMENTS)
def test_no_single_witness_lowers_a_floor(floor: datetime, stated: datetime, local: datetime) -> None:
    after = lowered(floor, stated, local)

    if stated >= floor:
        assert after == floor, "time that goes on lowers nothing"
    elif abs(stated - local) > AGREEMENT:
        assert after is None
    else:
        assert after == stated


@given(MOMENTS, MOMENTS, MOMENTS)
def test_what_was_stated_is_in_time_afterwards_and_stating_it_again_changes_nothing(
    floor: datetime, stated: datetime, local: datetime
) -> None:
    after = lowered(floor, stated, local)

    if after is not None:
        assert after <= stated
        assert lowered(after, stated, local) == after
