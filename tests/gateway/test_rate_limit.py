from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.server.gateway.rate_limit import SHARES, SharedBucket, TokenBucket, TokenBuckets


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 3), max_size=200),
)
def test_never_more_calls_pass_than_burst_and_rate_allow(rate: float, burst: int, pauses: list[float]) -> None:
    now = 0.0
    bucket = TokenBucket(rate=rate, burst=burst, monotonic=lambda: now)
    passed = 0
    for pause in pauses:
        now += pause
        passed += bucket.take()
        assert passed <= burst + rate * now + 1e-6


def test_a_bucket_fills_again_with_time() -> None:
    now = 0.0
    bucket = TokenBucket(rate=2, burst=1, monotonic=lambda: now)

    taken = [bucket.take(), bucket.take()]
    now = 0.5
    taken.append(bucket.take())

    assert taken == [True, False, True]


def test_everybody_has_a_bucket_of_their_own() -> None:
    now = 0.0
    buckets = TokenBuckets(rate=1, burst=2, monotonic=lambda: now)

    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    assert buckets.take("b")
    now = 1.0
    assert [buckets.take("a"), buckets.take("a")] == [True, False]


def test_only_so_many_are_remembered_and_who_asks_again_and_again_is() -> None:
    buckets = TokenBuckets(rate=1, burst=1, monotonic=lambda: 0.0, most_names=3)

    assert buckets.take("loud")
    for number in range(10):
        assert buckets.take(f"other {number}")
        assert not buckets.take("loud")
    assert buckets.take("other 0"), "forgotten, and so full again"


def test_what_was_taken_for_nothing_is_given_back_and_never_more() -> None:
    buckets = TokenBuckets(rate=1, burst=1, monotonic=lambda: 0.0)

    assert buckets.take("a")
    buckets.give_back("a")
    buckets.give_back("a")
    buckets.give_back("stranger")
    assert [buckets.take("a"), buckets.take("a")] == [True, False]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 0.5)), max_size=200))
def test_all_together_get_no_more_from_a_shared_bucket_than_from_one_of_their_own(
    asked: list[tuple[str, float]],
) -> None:
    now = 0.0
    shared = SharedBucket(rate=10, burst=20, monotonic=lambda: now)
    passed = 0
    for name, pause in asked:
        now += pause
        passed += shared.take(name)
        assert passed <= 20 + 10 * now + 1e-6


def test_whoever_asks_for_everything_leaves_half_to_those_who_ask_for_little() -> None:
    now = 0.0
    shared = SharedBucket(rate=100, burst=200, monotonic=lambda: now)

    taken = sum(shared.take("greedy") for _ in range(1_000))
    modest = sum(shared.take(f"modest {number}") for number in range(200))
    assert (taken, modest) == (100, 100)

    now = 1.0
    assert sum(shared.take("greedy") for _ in range(1_000)) == 100 / SHARES, "what flowed in goes to the others first"
    for now in (3.0, 4.0, 5.0):  # noqa: B007 - the bucket reads it
        assert sum(shared.take("greedy") for _ in range(1_000)) == 100, "all that flows in, where nobody else asks"
