"""Figures, the bars they are held against, and the table that shows both."""

from __future__ import annotations

import pytest
from benchmarks.bars import ALL, CHECK_IN_TO_NGINX, WHOLE_STATE
from benchmarks.figures import POSTGRESQL, SQLITE, Bar, Figure, Peer, percentile
from benchmarks.table import COLUMNS, for_markdown, for_terminal, number, rows, summary


def test_a_figure_is_the_median_of_its_rounds_with_the_lowest_and_the_highest() -> None:
    figure = Figure.of("a page", [9.0, 1.0, 4.0], "ms")

    assert (figure.value, figure.low, figure.high) == (4.0, 1.0, 9.0)


def test_rounds_without_a_round_are_refused() -> None:
    with pytest.raises(ValueError, match="a page"):
        Figure.of("a page", [], "ms")


@pytest.mark.parametrize(
    ("bar", "value", "met"),
    [
        (Bar(10), 10.0, True),
        (Bar(10), 10.1, False),
        (Bar(10, at_least=True), 10.0, True),
        (Bar(10, at_least=True), 9.9, False),
        (Bar(10), None, None),
    ],
)
def test_a_bar_is_met_at_its_limit_and_not_beyond(bar: Bar, value: float | None, met: bool | None) -> None:
    assert Figure("it", value, "ms", bar=bar).met is met


def test_a_bar_of_a_ratio_asks_for_the_peer_and_not_for_the_figure_alone() -> None:
    bar = Bar(1.25, of_ratio=True)

    assert Figure("it", 500.0, "µs", peer=Peer("nginx", 450.0), bar=bar).met is True
    assert Figure("it", 600.0, "µs", peer=Peer("nginx", 450.0), bar=bar).met is False
    assert Figure("it", 600.0, "µs", bar=bar).met is None
    assert Figure("it", 600.0, "µs", peer=Peer("nginx", 0.0), bar=bar).met is None


def test_without_a_bar_nothing_is_met_or_missed() -> None:
    assert Figure("it", 1.0, "ms").met is None


def test_every_bar_of_the_product_is_in_the_table_without_any_figure() -> None:
    assert [row[0] for row in rows([])] == [bar.key for bar in ALL]
    assert {row[2] for row in rows([])} == {"not measured"}


def test_a_figure_takes_the_place_of_its_bar_once_for_each_engine() -> None:
    found = [Figure("state", 3.0, "GB", engine=SQLITE, bar=WHOLE_STATE)]
    found.append(Figure("state", 0.4, "GB", engine=POSTGRESQL, bar=WHOLE_STATE))
    drawn = list(rows(found))

    assert len(drawn) == len(ALL) + 1
    assert [row[1:3] + row[-2:] for row in drawn if row[0] == "state"] == [
        (SQLITE, "3 GB", "≤ 0.5 GB", "NOT MET"),
        (POSTGRESQL, "0.4 GB", "≤ 0.5 GB", "met"),
    ]
    assert WHOLE_STATE.key not in {row[0] for row in drawn}


def test_what_could_not_be_measured_is_shown_with_its_reason() -> None:
    missing = Figure.missing("full check-in", "µs CPU", "no nginx here", bar=CHECK_IN_TO_NGINX)

    assert missing.met is None
    assert "not measured: no nginx here" in for_terminal([missing])
    assert "not measured: no nginx here" in for_markdown([missing])


def test_figures_without_a_bar_of_the_product_come_after_them_and_none_is_left_out() -> None:
    own = Figure("a page", 4.0, "ms", bar=Bar(50))
    plain = Figure("a template", 2.0, "ms")

    assert [row[0] for row in rows([own, plain])][-2:] == ["a page", "a template"]


def test_the_summary_counts_bars_without_figures_as_not_measured() -> None:
    found = [Figure("state", 3.0, "GB", bar=WHOLE_STATE), Figure("a page", 4.0, "ms", bar=Bar(50))]

    assert summary(found) == f"1 met, 1 not met, {len(ALL) - 1} not measured"


def test_markdown_has_one_cell_for_each_column_whatever_a_name_holds() -> None:
    lines = for_markdown([Figure("a | b", 1.0, "ms", note="c | d")]).splitlines()

    assert {line.replace("\\|", "").count("|") for line in lines} == {len(COLUMNS) + 2}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (1975.3, "1,975"),
        (44.04, "44"),
        (4.388, "4.39"),
        (0.25, "0.25"),
        (0.0004, "0.0004"),
        (1e6, "1,000,000"),
    ],
)
def test_numbers_show_what_matters(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_percentile_is_a_sample() -> None:
    assert percentile([float(each) for each in range(1, 101)], 0.95) == 96.0
    assert percentile([3.0], 0.99) == 3.0
