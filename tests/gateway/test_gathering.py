from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.server.gateway.gathering import (
    ALTOGETHER_SECONDS,
    ENOUGH,
    LONGEST_SECONDS,
    MOST,
    Company,
    Gathering,
    Pace,
)


def paced(gaps: Sequence[float]) -> Pace:
    pace, now = Pace(), 1_000.0
    pace.came(now)
    for gap in gaps:
        now += gap
        pace.came(now)
    return pace


@given(st.lists(st.floats(0, 1_000)))
def test_nobody_waits_longer_than_the_longest_window(gaps: list[float]) -> None:
    assert 0.0 <= paced(gaps).patience <= LONGEST_SECONDS


@given(st.lists(st.floats(LONGEST_SECONDS, 1_000)))
def test_who_comes_alone_waits_for_nobody(gaps: list[float]) -> None:
    assert paced(gaps).patience == 0.0


@given(st.lists(st.floats(0, 1_000)), st.floats(0, LONGEST_SECONDS / 4))
def test_whatever_was_before_a_few_that_come_quickly_wait_for_each_other(before: list[float], gap: float) -> None:
    assert gap < paced([*before, *[gap] * 32]).patience <= LONGEST_SECONDS


@given(st.floats(LONGEST_SECONDS / 1_000, LONGEST_SECONDS / 4))
def test_nobody_waits_longer_than_enough_others_need_to_come(gap: float) -> None:
    assert paced([gap] * 200).patience == pytest.approx(min(LONGEST_SECONDS, ENOUGH * gap))


class Carrier:
    """Carries out what is gathered, when it is told to, and remembers what came together."""

    def __init__(self) -> None:
        self.gathered: list[list[int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.gathered.append(list(items))
        await self.go_on.wait()
        return [item * 2 for item in items]


@given(st.lists(st.integers(), max_size=40), st.integers(1, 10))
def test_everybody_gets_its_own_result_and_no_more_than_so_many_go_together(items: list[int], most: int) -> None:
    async def story() -> None:
        carrier = Carrier()
        gathering = Gathering(carrier, most=most)
        results = await asyncio.gather(*map(gathering.submit, items))
        assert results == [item * 2 for item in items]
        assert [item for each in carrier.gathered for item in each] == items
        assert all(1 <= len(each) <= most for each in carrier.gathered)

    asyncio.run(story())


def test_who_comes_at_the_same_time_goes_together_and_the_next_do_not_wait_for_their_end() -> None:
    async def story() -> None:
        carrier = Carrier()
        carrier.go_on.clear()
        gathering = Gathering(carrier)
        first = [gathering.submit(number) for number in range(5)]
        await asyncio.sleep(2 * LONGEST_SECONDS)
        second = [gathering.submit(number) for number in range(5, 8)]
        await asyncio.sleep(2 * LONGEST_SECONDS)
        assert carrier.gathered == [[0, 1, 2, 3, 4], [5, 6, 7]]
        carrier.go_on.set()
        assert await asyncio.gather(*first, *second) == [number * 2 for number in range(8)]

    asyncio.run(story())


def test_what_fails_fails_those_that_went_together_and_nobody_else() -> None:
    async def story() -> None:
        async def carry_out(items: Sequence[int]) -> Sequence[int]:
            if 0 in items:
                raise LookupError
            return items

        gathering = Gathering(carry_out, most=2)
        outcomes = await asyncio.gather(*map(gathering.submit, [0, 1, 2, 3]), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LookupError, LookupError, int, int]

    asyncio.run(story())


def test_who_goes_away_while_it_waits_takes_nobody_along() -> None:
    async def story() -> None:
        gathering = Gathering(Carrier())
        impatient, patient = gathering.submit(1), gathering.submit(2)
        impatient.cancel()
        assert await patient == 4
        with pytest.raises(asyncio.CancelledError):
            await impatient

    asyncio.run(story())


class Beat:
    """Comes at moments of a loop whose time passes as it is told, with nobody waiting for it."""

    def __init__(self, gaps: Sequence[float]) -> None:
        self.gaps = gaps

    def handed_over(self, altogether: float) -> list[tuple[float, list[int]]]:
        """Let one come after each gap; tell when how many of them were handed over, from the first on."""
        loop = ImpatientLoop()
        handed: list[tuple[float, list[int]]] = []

        async def story() -> None:
            async def carry_out(items: Sequence[int]) -> Sequence[int]:
                handed.append((loop.time(), list(items)))
                return items

            gathering = Gathering(carry_out, altogether=altogether)
            coming = []
            for number, gap in enumerate(self.gaps):
                await asyncio.sleep(gap)
                coming.append(gathering.submit(number))
            await asyncio.gather(*coming)

        try:
            loop.run_until_complete(story())
        finally:
            loop.close()
        return handed


class ImpatientLoop(asyncio.SelectorEventLoop):
    """A loop that does not wait for a time to come, but sets its clock on to it."""

    def __init__(self) -> None:
        self.moment = 0.0
        super().__init__(_Nothing(self))

    def time(self) -> float:
        return self.moment


class _Nothing(selectors.DefaultSelector):
    def __init__(self, loop: ImpatientLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.moment += timeout or 0.0
        return super().select(0)


@given(st.lists(st.floats(0.0, 0.1), min_size=1, max_size=200), st.sampled_from([0.0, 0.1, 1 / 3]))
def test_while_others_come_the_first_waits_for_them_but_not_for_ever(gaps: list[float], altogether: float) -> None:
    came, moment = [], 0.0
    for gap in gaps:
        moment += gap
        came.append(moment)
    handed = Beat(gaps).handed_over(altogether)
    assert [number for _, items in handed for number in items] == list(range(len(gaps)))
    for at, items in handed:
        assert at - came[items[0]] <= max(LONGEST_SECONDS, altogether) + 1e-6
        assert at - came[items[-1]] <= LONGEST_SECONDS + 1e-6


def test_devices_that_come_one_after_the_other_are_gathered_as_long_as_the_first_may_wait() -> None:
    every = 1 / 185
    short, long = (sizes([every] * 2_000, altogether) for altogether in (0.0, 0.25))
    assert set() < short <= {9, 10, 11}
    assert set() < long <= {46, 47, 48}


def test_where_many_come_nobody_waits_for_more_than_enough_and_no_more_than_so_many_go_together() -> None:
    quick, slower = (sizes([gap] * 4_000, altogether=1.0) for gap in (LONGEST_SECONDS / 50, LONGEST_SECONDS / 25))
    assert set() < quick <= {ENOUGH, ENOUGH + 1, ENOUGH + 2}
    assert slower == {MOST}


def sizes(gaps: Sequence[float], altogether: float) -> set[int]:
    """Say how many of those who come so are handed over together, once it is known how they come."""
    return {len(items) for at, items in Beat(gaps).handed_over(altogether)[:-1] if at > 1.0}


def test_a_few_who_come_at_once_wait_no_longer_for_those_who_do_not_come() -> None:
    gaps = [*[0.001] * 64, 1.0, *[0.0] * 7]
    (at, items) = Beat(gaps).handed_over(0.25)[-1]
    assert len(items) >= 1
    assert at <= sum(gaps) + LONGEST_SECONDS + 1e-6


def test_who_comes_one_by_one_goes_on_in_company_and_who_comes_alone_at_once() -> None:
    loop, went = ImpatientLoop(), Counter[float]()

    async def story() -> None:
        company = Company()

        async def one() -> None:
            await company.joined()
            went[loop.time()] += 1

        await one()
        assert went == {0.0: 1}
        every = LONGEST_SECONDS / 5
        coming = []
        for _ in range(200):
            await asyncio.sleep(every)
            coming.append(asyncio.create_task(one()))
        await asyncio.gather(*coming)
        assert max(went.values()) == pytest.approx(ALTOGETHER_SECONDS / every, abs=2)

    try:
        loop.run_until_complete(story())
    finally:
        loop.close()
