"""Whatever happens in whatever order: devices that catch up later end where all would be that were moved at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.campaign import size
from tests.support.late_fleet import Life
from tests.support.manager_world import World
from tests.support.samples import NOON, CountingIds

_DEVICES: Final = 6
_number = st.integers(1, _DEVICES)
_few = st.integers(0, 3)
_some = st.integers(0, 9)
_CHANGES: Final = st.one_of(
    st.tuples(st.just("joins"), _number, st.integers(0, 5)),
    st.tuples(st.just("is_tagged"), _number, _few),
    st.tuples(st.just("is_renamed"), _number, _few),
    st.tuples(st.just("is_switched"), _number, _few),
    st.tuples(st.just("leaves"), _number, _few),
    st.tuples(st.just("is_quarantined"), _number, _few),
    st.tuples(st.just("is_troubleshot"), _number, _few),
    st.tuples(st.just("group_is_made"), _some, _few),
    st.tuples(st.just("group_changes"), _few, _some, _few),
    st.tuples(st.just("group_is_paused"), _few, _few),
    st.tuples(st.just("group_goes"), _few),
    st.tuples(st.just("member_joins"), _few, _number),
    st.tuples(st.just("member_leaves"), _few, _number),
    st.tuples(st.just("policy_is_made"), _few),
    st.tuples(st.just("policy_changes"), _few, _few),
    st.tuples(st.just("policy_goes"), _few),
    st.tuples(st.just("policy_is_assigned"), _few, _few, _few, _some),
    st.tuples(st.just("filter_is_made"), _few),
    st.tuples(st.just("filter_changes"), _few, _few),
    st.tuples(st.just("filter_goes"), _few),
    st.tuples(st.just("protection_changes"), _few, _number, _few),
    st.tuples(st.just("rules_change"), _few),
    st.tuples(st.just("scope_changes"), _few),
    st.tuples(st.just("time_passes"), st.integers(1, 300)),
)
_SPEAKS: Final = st.tuples(st.just("checks_in"), _number, st.integers(0, 5))
_BY_ITSELF: Final = st.tuples(st.just("sweeps"), st.integers(1, 3), _few)
_OF_GROUPS: Final = st.one_of(
    st.tuples(st.just("group_changes"), _few, _some, _few),
    st.tuples(st.just("group_is_paused"), _few, _few),
    st.tuples(st.just("policy_is_assigned"), _few, _few, _few, _some),
)
_HISTORIES: Final = st.lists(st.one_of(_CHANGES, _OF_GROUPS, _SPEAKS, _BY_ITSELF), min_size=8, max_size=30)
_BEGINNING: Final = (
    ("joins", 1, 1),
    ("joins", 2, 2),
    ("joins", 3, 3),
    ("joins", 4, 0),
    ("group_is_made", 0, 1),
    ("group_is_made", 5, 1),
    ("group_is_made", 9, 1),
    ("group_is_made", 5, 1),
    ("policy_is_made", 1),
    ("policy_is_made", 0),
    ("filter_is_made", 0),
    ("policy_is_assigned", 0, 0, 0, 2),
    ("policy_is_assigned", 1, 1, 0, 4),
)


@contextmanager
def _life(world: World, most_at_once: int) -> Iterator[Life]:
    world.clock.at = NOON
    with world.undone() as connection:
        yield Life(world, connection, most_at_once, CountingIds(_starts(world)))


def _starts(world: World) -> int:
    """Number ids of each life anew: the signer remembers what it signed, also what was undone."""
    world.new_id.last += 10_000
    return world.new_id.last


@pytest.mark.parametrize("most_at_once", [0, 3])
@settings(
    max_examples=size(short=40, full=20_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=_HISTORIES)
def test_devices_that_catch_up_are_where_they_would_be_had_each_change_moved_all(
    world: World, most_at_once: int, history: list[tuple[str, *tuple[int, ...]]]
) -> None:
    with _life(world, 1_000_000) as at_once:
        assert [at_once.do(*each) for each in _BEGINNING] == [None] * len(_BEGINNING)
        heard = [at_once.do(*each) for each in history if each[0] != "sweeps"]
        truth = [at_once.device(number) for number in range(1, _DEVICES + 1)]
    with _life(world, most_at_once) as later:
        for happening in _BEGINNING:
            later.do(*happening)
        hears = [later.do(*each) for each in history]
        assert [found for each, found in zip(history, hears, strict=True) if each[0] != "sweeps"] == heard
        later.ends()
        assert [later.device(number) for number in range(1, _DEVICES + 1)] == truth
        later.is_what_it_would_be()
