"""Who is served next when much waits, and who is turned away."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.applier.lanes import MOST_WAITING, MOST_WAITING_BYTES, Jobs, Lanes
from shieldwall.agent.applier.protocol import Apply, Look, Refresh, verb_of
from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import encode

AGENT, OTHER = 991, 992


def test_root_is_served_before_all_who_came_earlier_and_the_others_take_turns() -> None:
    lanes = Lanes[str]()
    for job, uid in (("a1", AGENT), ("a2", AGENT), ("a3", AGENT), ("o1", OTHER), ("r1", 0), ("r2", 0)):
        assert not lanes.put(job, uid=uid, verb="refresh", size=10)

    assert [lanes.take() for _ in range(7)] == ["r1", "r2", "a1", "o1", "a2", "a3", None]


def test_no_more_than_a_few_of_one_user_wait_and_nobody_else_is_turned_away_for_it() -> None:
    lanes = Lanes[int]()
    turned_away = [job for number in range(32) for job in lanes.put(number, uid=AGENT, verb="look", size=1)]

    assert turned_away == list(range(MOST_WAITING, 32))
    assert not lanes.put(100, uid=0, verb="look", size=1)
    assert lanes.take() == 100


def test_the_last_apply_of_a_user_takes_the_place_of_the_one_that_waits() -> None:
    lanes = Lanes[str]()
    lanes.put("old", uid=AGENT, verb="apply", size=1)
    lanes.put("of root", uid=0, verb="apply", size=1)

    assert lanes.put("new", uid=AGENT, verb="apply", size=1) == ("old",)
    assert [lanes.take() for _ in range(3)] == ["of root", "new", None]


def test_what_waits_holds_no_more_memory_than_one_large_request() -> None:
    lanes = Lanes[str]()
    assert not lanes.put("large", uid=AGENT, verb="nonsense", size=MOST_WAITING_BYTES - 10)
    assert lanes.put("more", uid=AGENT, verb="nonsense", size=11) == ("more",)
    assert not lanes.put("little", uid=AGENT, verb="look", size=10)


def test_an_apply_that_is_turned_away_leaves_the_one_that_waits() -> None:
    lanes = Lanes[str]()
    lanes.put("old", uid=AGENT, verb="apply", size=1)
    assert lanes.put("too large", uid=AGENT, verb="apply", size=MOST_WAITING_BYTES + 1) == ("too large",)
    assert lanes.take() == "old"


@given(
    st.lists(st.tuples(st.sampled_from([0, AGENT, OTHER]), st.sampled_from(["apply", "look"])), max_size=60),
    st.integers(1, 5),
)
def test_each_request_is_taken_or_turned_away_exactly_once(asked: list[tuple[int, str]], pace: int) -> None:
    lanes, ended = Lanes[int](), Counter[int]()
    for number, (uid, verb) in enumerate(asked):
        ended.update(lanes.put(number, uid=uid, verb=verb, size=1))
        if number % pace == 0 and (taken := lanes.take()) is not None:
            ended[taken] += 1
    while (taken := lanes.take()) is not None:
        ended[taken] += 1

    assert ended == Counter(range(len(asked)))


def test_who_hurries_or_ends_is_heard_at_once() -> None:
    jobs = Jobs[str]()
    jobs.hurry()
    assert jobs.take(60) is None
    jobs.put("a", uid=0, verb="look", size=1)
    assert jobs.take(60) == "a"
    jobs.put("b", uid=0, verb="look", size=1)
    jobs.end()
    assert jobs.take(60) is None
    assert jobs.is_over


def test_what_a_request_asks_for_is_seen_without_reading_it() -> None:
    envelope = Envelope(payload_type="x", payload="", signatures=())
    assert [verb_of(encode(each)) for each in (Look(), Refresh(), Apply(manifest=envelope))] == [
        *("look", "refresh", "apply"),
    ]
    assert verb_of(b"[" * 100_000) == verb_of(b"{}") == verb_of(b"\xff") == ""
