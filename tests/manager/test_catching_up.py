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
from tests.support.manager_world import ACTOR, World, caller
from tests.support.samples import NOON, TENANT_ID, CountingIds, device_id

from shieldwall.contract import strict_json
from shieldwall.contract.messages import MANAGED_CODE, UNPROTECTED, FetchRequest
from shieldwall.server.directory import groups
from shieldwall.server.manager.catching_up import catch_up_all
from shieldwall.server.manager.fetch import fetch
from shieldwall.server.manager.turns import OvertakenError
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.records import MembershipCause, Page

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
_OF_SCOPE: Final = st.one_of(
    st.tuples(st.just("scope_changes"), _few),
    st.tuples(st.just("group_is_made"), st.just(3), st.just(1)),
    st.tuples(st.just("group_is_paused"), _few, _few),
    st.tuples(st.just("is_tagged"), _number, _few),
)
_HISTORIES: Final = st.lists(st.one_of(_CHANGES, _OF_GROUPS, _OF_SCOPE, _SPEAKS, _BY_ITSELF), min_size=8, max_size=30)
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


@settings(
    max_examples=size(short=15, full=20_000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(most_at_once=st.sampled_from([0, 3]), history=_HISTORIES)
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


def test_whoever_waits_is_woken_by_a_change_that_reaches_it_and_by_no_other(world: World) -> None:
    with _life(world, 0) as life:
        life.do("joins", 1, 1)  # tagged as the rule says
        life.do("joins", 2, 2)
        life.do("group_is_made", 0, 1)
        life.do("policy_is_made", 1)
        for number in (1, 2):
            life.do("checks_in", number, 1)
        assert life.woken() == frozenset()

        life.do("policy_is_assigned", 0, 0, 0, 2)

        assert life.woken() == {device_id(1)}
        assert life.woken() == {device_id(1)}, "until it comes"
        life.do("checks_in", 1, 1)
        assert life.woken() == frozenset()


def test_the_history_tells_who_changed_a_rule_and_not_who_happened_to_come(world: World) -> None:
    with _life(world, 0) as life:
        life.do("joins", 1, 1)
        life.do("group_is_made", 0, 1)
        life.do("checks_in", 1, 1)
        (event,) = groups.history_of_group(life.connection, TENANT_ID, life.groups[0], Page())
        assert (event.joined, event.cause, event.actor) == (True, MembershipCause.RULE_CHANGED, ACTOR)
        life.do("group_is_paused", 0, 1)
        life.do("is_tagged", 1, 2)
        life.do("group_is_paused", 0, 0)
        assert groups.members(life.connection, TENANT_ID, life.groups[0], Page()) != ()

        life.do("checks_in", 1, 1)

        event = groups.history_of_group(life.connection, TENANT_ID, life.groups[0], Page())[0]
        assert (event.joined, event.cause) == (False, MembershipCause.PROCESSING_RESUMED)
        assert groups.members(life.connection, TENANT_ID, life.groups[0], Page()) == ()


def test_a_device_that_is_behind_fetches_nothing_that_may_not_be_its_own_any_more(world: World) -> None:
    with _life(world, 0) as life:
        life.do("joins", 1, 1)
        life.do("policy_is_made", 1)
        life.do("policy_is_assigned", 0, 0, 0, 0)
        assert life.do("checks_in", 1, 1)
        told = policies.get(life.connection, life.policies[0])
        life.do("policy_changes", 0, 0)
        assert policies.get(life.connection, life.policies[0]).digest != told.digest
        life.seq[device_id(1)] += 1
        request = FetchRequest(seq=life.seq[device_id(1)], epoch=1, digests=(told.digest,))

        undone = life.connection.begin_nested()
        with pytest.raises(OvertakenError):
            fetch(life.connection, caller(device_id(1)), request, strict_json.digest_of(request), NOON)
        undone.rollback()
        catch_up_all(life.connection, lambda _tenant: world.acting, [device_id(1)])

        with pytest.raises(NotFoundError, match="for this device"):
            fetch(life.connection, caller(device_id(1)), request, strict_json.digest_of(request), NOON)


def test_a_request_that_comes_again_is_answered_by_what_is_true_then(world: World) -> None:
    with _life(world, 0) as life:
        life.do("joins", 1, 1)
        life.do("policy_is_made", 1)
        assert life.do("checks_in", 1, 2) == ([], {}, UNPROTECTED, False, MANAGED_CODE)
        life.do("policy_is_assigned", 0, 0, 0, 0)

        assert life.do("checks_in", 1, 0) == ([(0, 1)], {}, UNPROTECTED, False, MANAGED_CODE)
        assert life.seq == {device_id(1): 1}
