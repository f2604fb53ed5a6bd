"""Admission as a pure core: laws that hold whatever happens, and a queue in simulated time with too much to do."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shieldwall.server.gateway.admission import (
    ALWAYS_TAKEN,
    BOUNDS,
    FIRST_BACK,
    LAST_BACK,
    SPREAD,
    Admission,
    Pace,
    Returns,
)
from shieldwall.server.gateway.lanes import QUIET_BYTES, Lane, lane_of

NOISE = 0.05


@dataclass
class Hand:
    moment: float = 1000.0

    def now(self) -> float:
        return self.moment


def an_admission(hand: Hand, seed: int = 1) -> Admission:
    return Admission(monotonic=hand.now, draw_between=random.Random(seed).randint)  # noqa: S311 - no secrets


@dataclass
class Server:
    """One queue in simulated time, worked off at a pace; ``chance`` spreads arrivals and what each costs."""

    per_second: float
    chance: random.Random
    hand: Hand = field(default_factory=Hand)
    free_at: float = 0.0
    done: Counter[Lane] = field(default_factory=Counter)
    waits: dict[Lane, list[float]] = field(default_factory=lambda: {lane: [] for lane in Lane})
    sent_away: dict[Lane, list[int]] = field(default_factory=lambda: {lane: [] for lane in Lane})
    under_way: list[tuple[float, float, Lane]] = field(default_factory=list)
    junk_per_second: float = 0.0
    """Requests that are refused before they wait for anything."""

    def __post_init__(self) -> None:
        self._junk_at = self.hand.moment
        self.admission = an_admission(self.hand)

    def asked(self, at: float, lane: Lane) -> None:
        while self.junk_per_second and self._junk_at < at:
            self._until(self._junk_at)
            self.admission.end(self.admission.begin(), refused=True)
            self._junk_at += self.chance.expovariate(self.junk_per_second)
        self._until(at)
        retry_after = self.admission.sends_away(lane)
        if retry_after is not None:
            self.sent_away[lane].append(retry_after)
            return
        begun = self.admission.begin()
        self.free_at = max(self.free_at, at) + self.chance.expovariate(self.per_second)
        heapq.heappush(self.under_way, (self.free_at, begun, lane))

    def _until(self, at: float) -> None:
        while self.under_way and self.under_way[0][0] <= at:
            ended, begun, lane = heapq.heappop(self.under_way)
            self.hand.moment = ended
            self.admission.end(begun)
            self.done[lane] += 1
            self.waits[lane].append(ended - begun)
        self.hand.moment = at


def storm(
    per_second: float, times: float, seconds: float, lanes: dict[Lane, int], *, server: Server | None = None
) -> Server:
    chance = random.Random(7)  # noqa: S311 - no secrets
    server = server or Server(per_second=per_second, chance=chance)
    at = end = server.hand.moment
    end += seconds
    while at < end:
        at += chance.expovariate(per_second * times)
        server.asked(at, chance.choices(list(lanes), list(lanes.values()))[0])
    return server


@pytest.mark.parametrize(("per_second", "times"), [(100.0, 1.5), (100.0, 20.0), (1500.0, 1.5), (1500.0, 5.0)])
def test_a_server_asked_for_too_much_does_nearly_all_it_can_and_lets_nobody_wait_long(
    per_second: float, times: float
) -> None:
    """Once it has found out how much it can do; until then it takes on what comes."""
    lanes = {Lane.QUIET: 90, Lane.NEWS: 10}
    server = storm(per_second, times, 4, lanes)
    storm(per_second, 0.5, 12, lanes, server=server)
    begun, waited = sum(server.done.values()), len(server.waits[Lane.QUIET])
    storm(per_second, times, 10, lanes, server=server)
    assert sum(server.done.values()) - begun >= 0.9 * per_second * 10
    waits = sorted(server.waits[Lane.QUIET][waited:])
    assert waits[len(waits) * 99 // 100] < 2 * BOUNDS[Lane.QUIET] * 1.5
    assert server.sent_away[Lane.QUIET]


@pytest.mark.parametrize("junk_per_second", [100.0, 2000.0])
def test_whoever_is_refused_at_once_does_not_make_the_waits_of_others_look_short(junk_per_second: float) -> None:
    """Some in each interval are enough to be its shortest wait, and many would be a pace that nobody has."""
    lanes = {Lane.QUIET: 90, Lane.NEWS: 10}
    server = Server(per_second=300, chance=random.Random(7), junk_per_second=junk_per_second)  # noqa: S311 - no secrets
    storm(300, 3, 15, lanes, server=server)
    done, waited = sum(server.done.values()), len(server.waits[Lane.QUIET])
    storm(300, 3, 10, lanes, server=server)

    waits = sorted(server.waits[Lane.QUIET][waited:])
    assert waits[len(waits) * 99 // 100] < 2 * BOUNDS[Lane.QUIET] * 1.5
    assert sum(server.done.values()) - done >= 0.9 * 300 * 10, "nor does it send away more than it has to"


def test_junk_alone_keeps_nobody_out() -> None:
    """Not even where much of it is looked up at once: that it ends shows that something moves."""
    hand = Hand()
    admission = an_admission(hand)
    under_way = [admission.begin() for _ in range(2 * ALWAYS_TAKEN)]
    for _ in range(200):
        hand.moment += 0.05
        admission.end(under_way.pop(0), refused=True)
        under_way.append(admission.begin())
        assert admission.sends_away(Lane.REST) is None


def test_a_server_that_grows_slow_finds_out() -> None:
    """A disk that takes ten times as long: the wait is short again some seconds later."""
    lanes = {Lane.QUIET: 1}
    server = storm(1000, 2, 5, lanes)
    server.per_second = 100
    storm(1000, 2, 15, lanes, server=server)
    waited = len(server.waits[Lane.QUIET])
    storm(1000, 2, 10, lanes, server=server)
    waits = sorted(server.waits[Lane.QUIET][waited:])
    assert len(waits) >= 0.9 * 100 * 10
    assert waits[len(waits) * 95 // 100] < 2 * BOUNDS[Lane.QUIET] * 1.5
    server.per_second = 1000
    storm(1000, 2, 5, lanes, server=server)
    done = sum(server.done.values())
    storm(1000, 2, 5, lanes, server=server)
    assert sum(server.done.values()) - done >= 0.9 * 1000 * 5


def test_the_less_important_gives_way_first() -> None:
    lanes = dict.fromkeys((Lane.QUIET, Lane.NEWS, Lane.ENROLMENT, Lane.REST), 1)
    server = storm(500, 1.6, 30, lanes)
    shares = [len(server.sent_away[lane]) / (len(server.sent_away[lane]) + server.done[lane]) for lane in lanes]
    assert shares == sorted(shares)
    assert shares[0] < 0.35
    assert shares[-1] > 0.6


def test_a_server_that_keeps_up_sends_nobody_away() -> None:
    server = storm(500, 0.8, 60, dict.fromkeys((Lane.QUIET, Lane.NEWS, Lane.ENROLMENT, Lane.REST), 1))
    assert not any(server.sent_away.values())


def test_a_burst_that_is_worked_off_in_time_sends_nobody_away() -> None:
    server = Server(per_second=1000, chance=random.Random(3))  # noqa: S311 - no secrets
    for number in range(100):
        server.asked(1000.0 + number / 1e6, Lane.QUIET)
    assert not any(server.sent_away.values())


def test_after_a_storm_everybody_is_taken_at_once() -> None:
    server = storm(500, 10, 5, {Lane.QUIET: 1})
    for number in range(100):
        server.asked(server.hand.moment + 3 + number / 10, Lane.REST)
    assert not server.sent_away[Lane.REST]


def test_who_waits_alone_keeps_nobody_out() -> None:
    """A signer that takes half a minute for a certificate says nothing about the disk."""
    hand = Hand()
    admission = an_admission(hand)
    for _ in range(ALWAYS_TAKEN - 1):
        admission.begin()
    hand.moment += 30
    assert admission.sends_away(Lane.REST) is None
    admission.begin()
    assert [admission.sends_away(lane) is None for lane in Lane] == [True, False, False, False, False]


@pytest.mark.parametrize("stalls", [[], [10], [0], [10, 30, 50]])
def test_batches_are_no_queue_and_a_disk_that_stands_still_for_a_moment_makes_them_none(stalls: list[int]) -> None:
    """Whoever rests for most of the time could do far more than what comes."""
    hand = Hand()
    admission = an_admission(hand)
    for number in range(100):  # a batch every third of a second, of more than are taken on unasked
        hand.moment += 0.33
        batch = [admission.begin() for _ in range(4 * ALWAYS_TAKEN)]
        hand.moment += 0.02
        assert admission.sends_away(Lane.REST) is None
        assert admission.sends_away(Lane.QUIET) is None
        hand.moment += 0.2 if number in stalls else 0.0
        for each in batch:
            admission.end(each)
    assert admission.under_way == 0


def test_a_loop_that_is_late_counts_as_a_queue_and_one_stumble_does_not() -> None:
    admission = an_admission(Hand())
    admission.lagged(5.0)
    assert admission.sends_away(Lane.REST) is None
    admission.lagged(4.0)
    admission.lagged(3.0)
    assert admission.sends_away(Lane.QUIET) is not None
    assert admission.sends_away(Lane.VITAL) is None


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens, these hold."""

    def __init__(self) -> None:
        super().__init__()
        self.hand = Hand()
        self.admission = an_admission(self.hand)
        self.begun: list[float] = []

    @rule(count=st.integers(1, 50))
    def begin(self, count: int) -> None:
        self.begun += [self.admission.begin() for _ in range(count)]

    @rule(count=st.integers(1, 50))
    def end(self, count: int) -> None:
        for _ in range(min(count, len(self.begun))):
            self.admission.end(self.begun.pop(0))

    @rule(seconds=st.one_of(st.floats(0, 0.2), st.floats(0, 700)))
    def wait(self, seconds: float) -> None:
        self.hand.moment += seconds

    @rule(seconds=st.floats(0, 60))
    def stumble(self, seconds: float) -> None:
        self.admission.lagged(seconds)

    @rule(lane=st.sampled_from(Lane))
    def ask(self, lane: Lane) -> None:
        before = self.admission.sent_away[lane]
        came = self.admission.sends_away(lane)
        assert came is None or FIRST_BACK <= came <= LAST_BACK
        assert self.admission.sent_away[lane] == before + (came is not None)

    @invariant()
    def the_vital_is_never_sent_away_and_the_others_by_the_wait(self) -> None:
        assert self.admission.under_way == len(self.begun)
        assert self.admission.per_second > 0
        assert self.admission.sends_away(Lane.VITAL) is None
        wait = self.admission.wait()
        assert wait >= 0
        if len(self.begun) < ALWAYS_TAKEN:
            assert wait == self.admission.lag
        for lane, bound in BOUNDS.items():
            if wait < bound:
                assert self.admission.sends_away(lane) is None
            if wait >= 2 * bound:
                assert self.admission.sends_away(lane) is not None


TestAnyHistory = AnyHistory.TestCase


def comes_back(count: int, per_second: float, over: float, seed: int = 5) -> Counter[int]:
    """Send so many away within so many seconds and count who comes back in each."""
    returns, chance = Returns(), random.Random(seed)  # noqa: S311 - no secrets
    back: Counter[int] = Counter()
    for number in range(count):
        at = 50 + number * over / count
        drawn = returns.draw(at, per_second, chance.randint)
        assert FIRST_BACK <= drawn <= LAST_BACK
        back[int(at + drawn) - 50] += 1
    return back


def test_ten_devices_come_back_within_a_minute_and_a_half() -> None:
    assert max(comes_back(10, 100, 0.1)) <= FIRST_BACK + SPREAD + 1


@settings(max_examples=25, deadline=None)
@given(per_second=st.floats(20, 80), share=st.floats(0.1, 0.9), over=st.floats(0.1, 60))
def test_no_more_come_back_in_any_ten_seconds_than_can_be_served(per_second: float, share: float, over: float) -> None:
    back = comes_back(int(share * per_second * (LAST_BACK - FIRST_BACK - 2 * SPREAD)), per_second, over)
    for second in range(0, LAST_BACK + 60, 5):
        came = sum(back[each] for each in range(second, second + 10))
        expected = per_second * 10
        assert came <= expected * (1 + NOISE) + 6 * expected**0.5, second


def test_more_than_there_is_room_for_come_back_evenly_over_ten_minutes() -> None:
    back = comes_back(200_000, 100, 10)
    minutes = [sum(back[second] for second in range(begin, begin + 60)) for begin in range(120, 540, 60)]
    assert max(minutes) < 1.1 * min(minutes)
    assert max(back) <= LAST_BACK + 10


def test_a_pace_is_learnt_when_there_is_too_much_to_do_and_kept_when_there_is_not() -> None:
    pace = Pace()

    def seconds(first: int, last: int, count: int, *, is_full: bool) -> None:
        for second in range(first, last):
            for each in range(count):
                pace.ended(100 + second + (each + 1) / count, is_full=is_full)

    seconds(0, 2, 300, is_full=False)
    assert (pace.is_known, 200 < pace.per_second < 310) == (False, True)
    seconds(2, 6, 1000, is_full=True)
    assert pace.is_known
    assert pace.per_second == pytest.approx(1000, rel=0.05)
    seconds(6, 60, 185, is_full=False)
    assert pace.per_second == pytest.approx(1000, rel=0.05)
    seconds(60, 70, 400, is_full=True)
    assert pace.per_second == pytest.approx(400, rel=0.05)


def test_a_check_in_is_told_from_one_with_news_by_its_length() -> None:
    assert lane_of(Lane.NEWS, QUIET_BYTES) is Lane.QUIET
    assert lane_of(Lane.NEWS, QUIET_BYTES + 1) is Lane.NEWS
    assert lane_of(Lane.NEWS, None) is Lane.NEWS
    assert lane_of(Lane.ENROLMENT, 0) is Lane.ENROLMENT
