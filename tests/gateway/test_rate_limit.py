from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.server.gateway.rate_limit import TokenBucket


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
