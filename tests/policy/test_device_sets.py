"""Sets of devices as numbers say what sets of places say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.policy import device_sets
from shieldwall.policy.device_sets import of_places, places

PLACES = st.sets(st.integers(0, 3_000), max_size=20)


@given(PLACES)
def test_places_go_in_and_come_out_in_their_order(found: set[int]) -> None:
    devices = of_places(found, 3_001)

    assert list(places(devices)) == sorted(found)
    assert device_sets.count(devices) == len(found)
    assert {place for place in range(3_001) if device_sets.contains(devices, place)} == found


@given(PLACES, st.integers(0, 25))
def test_the_first_few_places(found: set[int], most: int) -> None:
    assert list(places(of_places(found, 3_001), most)) == sorted(found)[:most]
