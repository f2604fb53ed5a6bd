"""Limits: never more than is allowed in any time, never longer than said, and nobody pays for somebody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier, BrokenBarrierError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.server.access.throttling import (
    ATTEMPT_SECONDS,
    GRAPH_SECONDS,
    Attempts,
    Call,
    Limits,
    Meter,
    Throttle,
    TooManyRequestsError,
    network_of,
)


@dataclass
class Watch:
    """A watch that a test turns on."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def a_call(caller: str = "app:1", *, tenant: str = "t", writes: bool = False, of_defender: bool = False) -> Call:
    return Call(tenant=tenant, caller=caller, writes=writes, of_defender=of_defender)


def taken(throttle: Throttle, call: Call, most: int = 10_000) -> int:
    """How often a call passes at one moment."""
    for number in range(most):
        try:
            throttle.admit(call)
        except TooManyRequestsError:
            return number
    return most


@given(
    count=st.integers(1, 20),
    seconds=st.floats(0.5, 60),
    pauses=st.lists(st.floats(0, 30), min_size=1, max_size=120),
)
def test_in_no_time_does_more_pass_than_is_allowed(count: int, seconds: float, pauses: list[float]) -> None:
    meter, now, passed = Meter(count, seconds), 0.0, []
    for pause in pauses:
        now += pause
        if meter.wait("x", now) == 0:
            meter.take("x", now)
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= count + (passed[last] - start) * count / seconds + 1e-6


@given(count=st.integers(1, 50), used=st.integers(0, 200), later=st.floats(0, 5))
def test_whoever_waits_as_long_as_told_passes(count: int, used: int, later: float) -> None:
    watch = Watch()
    throttle = Throttle(Limits(app_requests=count), watch)
    for _ in range(used):
        try:
            throttle.admit(a_call())
        except TooManyRequestsError as error:
            watch.now += error.retry_after + later
            throttle.admit(a_call())


def test_all_of_it_may_be_asked_at_once_and_as_much_again_in_its_time() -> None:
    watch = Watch()
    throttle = Throttle(Limits(app_requests=100), watch)
    assert taken(throttle, a_call()) == 100
    watch.now += GRAPH_SECONDS / 2
    assert taken(throttle, a_call()) == 50


def test_requests_are_let_in_one_after_the_other() -> None:
    """Two threads that look before either takes would both have the last one there is."""
    both_look = Barrier(2, timeout=0.05)

    def watch() -> float:
        with pytest.raises(BrokenBarrierError):
            both_look.wait()
        return 1_000.0

    throttle = Throttle(Limits(app_requests=2), watch)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(throttle.admit, [a_call(), a_call()]))


def test_one_application_does_not_pay_for_another_and_all_pay_for_the_tenant() -> None:
    throttle = Throttle(Limits(app_requests=10, tenant_requests=25), Watch())
    assert [taken(throttle, a_call(caller)) for caller in ("a", "b", "c")] == [10, 10, 5]
    assert taken(throttle, a_call("a", tenant="other")) == 10


def test_a_refused_request_uses_nothing_up() -> None:
    throttle = Throttle(Limits(app_requests=1_000, tenant_requests=100, app_writes=10), Watch())
    assert taken(throttle, a_call(writes=True)) == 10
    for _ in range(500):
        with pytest.raises(TooManyRequestsError):
            throttle.admit(a_call(writes=True))
    assert taken(throttle, a_call()) == 90


def test_defenders_api_has_limits_of_its_own() -> None:
    watch = Watch()
    throttle = Throttle(Limits(), watch)
    passed = 0
    for _ in range(60):
        passed += taken(throttle, a_call(of_defender=True))
        watch.now += 60
    assert taken(throttle, a_call(), 100) == 100
    assert 1_500 < passed <= 3_000
    throttle = Throttle(Limits(), watch)
    assert taken(throttle, a_call(of_defender=True)) == 100


def test_memory_is_bounded() -> None:
    meter = Meter(5, 10, most_names=100)
    for number in range(1_000):
        meter.take(str(number), 0.0)
    assert len(meter) == 100


def test_an_owner_comes_in_however_many_strangers_try() -> None:
    watch = Watch()
    attempts = Attempts(Limits(), watch)
    attempts.admit("ada", "192.0.2.1")
    attempts.succeeded("ada", "192.0.2.1")

    refused = 0
    for number in range(10_000):
        try:
            attempts.admit("ada", f"198.51.{number // 256 % 256}.{number % 256}")
        except TooManyRequestsError:
            refused += 1
    assert refused == 10_000 - 50
    attempts.admit("ada", "192.0.2.1")
    attempts.admit("bea", "203.0.113.9")


def test_an_address_that_tries_again_and_again_has_to_wait() -> None:
    watch = Watch()
    attempts = Attempts(Limits(), watch)
    for _ in range(10):
        attempts.admit("ada", "192.0.2.1")
    with pytest.raises(TooManyRequestsError) as refused:
        attempts.admit("ada", "192.0.2.1")
    assert refused.value.retry_after == ATTEMPT_SECONDS / 10
    watch.now += refused.value.retry_after
    attempts.admit("ada", "192.0.2.1")


def test_what_was_right_does_not_count() -> None:
    attempts = Attempts(Limits(account_attempts=2), Watch())
    for _ in range(100):
        attempts.admit("ada", "192.0.2.1")
        attempts.succeeded("ada", "192.0.2.1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("x" * 100, "x" * 64),
    ],
)
def test_whoever_has_a_whole_network_is_one_client(address: str, network: str) -> None:
    assert network_of(address) == network
