from __future__ import annotations

import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import NOON

from shieldwall.server.portal.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Series, chart, spark

DAY = timedelta(days=1)
VALUES = st.lists(st.floats(min_value=0, max_value=1e7), min_size=2, max_size=300)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.e+]+),(-?[\d.e+]+)", path)]


@given(VALUES, VALUES, st.booleans())
def test_whatever_was_counted_is_drawn_within_the_chart(first: list[float], second: list[float], stacked: bool) -> None:
    count = min(len(first), len(second))
    moments = [NOON - timedelta(minutes=5 * number) for number in range(count)][::-1]
    lines = [Series(name=name, style=name, values=tuple(of[:count])) for name, of in (("a", first), ("b", second))]
    drawn = chart(moments, lines, until=NOON, span=DAY, is_stacked=stacked)
    for shape in drawn.shapes:
        for x, y in points(shape.path):
            assert LEFT <= x <= WIDTH - RIGHT
            assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    assert all(LEFT <= tick.place <= WIDTH - RIGHT for tick in drawn.moments)
    assert [tick.value for tick in drawn.levels] == sorted({tick.value for tick in drawn.levels})
    assert 2 <= len(drawn.levels) <= 6


@given(st.floats(min_value=0, max_value=1e9))
def test_the_axis_reaches_above_what_was_counted_by_round_steps(value: float) -> None:
    moments = [NOON - timedelta(hours=1), NOON]
    drawn = chart(moments, [Series(name="a", style="a", values=(0, value))], until=NOON, span=DAY)
    top, step = drawn.levels[-1].value, drawn.levels[1].value
    assert top >= value
    assert str(int(step)).rstrip("0") in {"1", "2", "5"}


def test_a_line_ends_where_nothing_was_counted_for_a_while() -> None:
    moments = [NOON - timedelta(hours=20), NOON - timedelta(hours=19.9), NOON - timedelta(hours=1), NOON]
    drawn = chart(moments, [Series(name="a", style="a", values=(1, 2, 3, 4))], until=NOON, span=DAY)
    assert drawn.shapes[0].path.count("M") == 2
    assert drawn.shapes[0].latest == 4


def test_stacked_areas_stand_upon_each_other() -> None:
    moments = [NOON - timedelta(hours=1), NOON]
    lines = [Series(name="a", style="a", values=(5, 5)), Series(name="b", style="b", values=(5, 5))]
    below, above = chart(moments, lines, until=NOON, span=DAY, is_stacked=True).shapes
    assert min(y for _, y in points(below.path)) == max(y for _, y in points(above.path))
    assert below.path.endswith("Z")


def test_of_a_long_time_a_dozen_moments_are_in_the_table_and_the_last_counts_are_drawn() -> None:
    moments = [NOON - timedelta(minutes=5 * number) for number in range(288)][::-1]
    drawn = chart(moments, [Series(name="a", style="a", values=tuple(range(288)))], until=NOON, span=DAY)
    assert len(points(drawn.shapes[0].path)) in {96, 97}
    assert len(drawn.rows) <= 13
    assert drawn.rows[0].at == NOON
    assert drawn.rows[0].values == (287,)


def test_before_two_moments_were_counted_there_is_nothing_to_draw() -> None:
    series = [Series(name="a", style="a", values=(1,))]
    assert chart([NOON], series, until=NOON, span=DAY) == Chart()
    assert chart([], [Series(name="a", style="a", values=())], until=NOON, span=DAY) == Chart()
    assert not spark([1])


@given(VALUES)
def test_a_small_line_stays_within_its_room(values: list[float]) -> None:
    assert all(0 <= x <= 120.1 and 0 <= y <= 28 for x, y in points(spark(values)))
