"""A day of a made-up fleet: it repeats itself, nobody is lost in it, and what is computed at once is what happens."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from shieldwall.agent.service.delays import LONGEST_RETRY_AFTER, RETRY_CAP_SECONDS, after_failure
from shieldwall.server.gateway.admission import FIRST_BACK
from shieldwall.simulator.chance import chance_of
from shieldwall.simulator.day.course import Course
from shieldwall.simulator.day.gateway import Costs, DayGateway
from shieldwall.simulator.day.plan import DayPlan
from shieldwall.simulator.day.records import Day
from shieldwall.simulator.day.waiting import after_failures, after_refusals
from shieldwall.simulator.main import app
from shieldwall.simulator.picture import picture

SLOW = Costs(quiet=60_000.0, news=200_000.0, sent_away=4_000.0)
"""A server as much slower than a real one as the fleet of a test is smaller than a real one."""


@pytest.fixture(scope="module")
def stormy() -> Day:
    return Course(DayPlan(seed=5, devices=3_000, storm_at=9.0, costs=SLOW)).run()


def test_the_same_seed_is_the_same_day(stormy: Day) -> None:
    again = Course(DayPlan(seed=5, devices=3_000, storm_at=9.0, costs=SLOW)).run()

    assert again.digest == stormy.digest


def test_a_herd_is_sent_away_and_served_nobody_is_forgotten(stormy: Day) -> None:
    storm, back = stormy.herds

    assert storm.name == "everybody starts anew"
    assert stormy.minutes.sent_away[9 * 60 : 10 * 60].sum() > 0
    assert (storm.left, back.left) == (0, 0)
    assert storm.served_at is not None
    assert storm.longest >= FIRST_BACK
    assert stormy.minutes.unanswered.sum() == stormy.minutes.unanswered[11 * 60 : 11 * 60 + 20].sum() > 0


def test_changes_reach_everybody_who_stays_within_a_period_and_its_spread(stormy: Day) -> None:
    pushed, ruled = stormy.changes

    assert len(pushed.devices) > len(ruled.devices) > 0
    for change in (pushed, ruled):
        assert change.within(5_400 * 1.1 + RETRY_CAP_SECONDS) == 1.0
        assert change.missed < len(change.devices)
    assert stormy.minutes.behind[13 * 60 + 59] == 0
    assert stormy.minutes.behind[14 * 60] > 0


def test_whoever_is_woken_comes_at_once() -> None:
    woken = Course(DayPlan(seed=5, devices=1_000, woken_per_second=50.0, outage_minutes=0.0)).run()

    assert all(change.within(60.0) > 0.95 for change in woken.changes)


@given(
    gaps=st.lists(st.floats(0.0, 2.0), max_size=60),
    news=st.lists(st.booleans(), min_size=60, max_size=60),
    busy_until=st.floats(0.0, 5.0),
)
def test_what_is_computed_at_once_is_what_happens_one_by_one(
    gaps: list[float], news: list[bool], busy_until: float
) -> None:
    arrivals = np.cumsum(np.array(gaps, np.float64))
    has_news = np.array(news[: len(gaps)], np.bool_)
    costs = Costs(quiet=200_000.0, news=700_000.0, processors=1.0)

    def gateway() -> DayGateway:
        made = DayGateway(costs, chance_of(1, "test").randint)
        made.busy_until = busy_until
        return made

    quick, slow = gateway(), gateway()
    taken = quick.serve(arrivals, has_news)
    if quick.seconds_computed_at_once:
        each = slow._one_by_one(arrivals, has_news, np.where(has_news, 0.7, 0.2))
        assert np.allclose(taken.ended, each.ended)
        assert (taken.retry_after == each.retry_after).all()
        assert quick.busy_until == pytest.approx(slow.busy_until)
        assert quick.busy_seconds == pytest.approx(slow.busy_seconds)


@given(
    drawn=st.lists(
        st.tuples(st.integers(1, 30), st.floats(0.0, 1.0, exclude_max=True), st.integers(1, 9_999)), max_size=20
    )
)
def test_devices_wait_as_agents_do(drawn: list[tuple[int, float, int]]) -> None:
    failures = np.array([times for times, _, _ in drawn], np.int64)
    chance = np.array([each for _, each, _ in drawn], np.float64)
    asked = np.array([seconds for _, _, seconds in drawn], np.int64)

    alone, told = after_failures(failures, chance), after_refusals(failures, chance, asked)

    assert alone.tolist() == [after_failure(times, chance=each) for times, each, _ in drawn]
    assert all(0 < seconds <= LONGEST_RETRY_AFTER for seconds in told.tolist())


def test_the_picture_of_a_day_can_be_drawn(stormy: Day) -> None:
    drawn = ET.fromstring(picture(stormy))  # noqa: S314 - drawn a line above

    texts = {each.text for each in drawn.iter() if each.text}
    assert {"policy push", "rule change", "outage, 20 min", "all start anew"} <= texts
    assert len(drawn.findall("{*}polyline")) == 4


def test_the_command_shows_a_day_for_people_and_for_programs() -> None:
    shown = CliRunner().invoke(app, ["day", "--devices", "300", "--seed", "3"])
    told = CliRunner().invoke(app, ["day", "--devices", "300", "--seed", "4", "--json"])

    assert (shown.exit_code, told.exit_code) == (0, 0), shown.output
    day = json.loads(told.stdout)
    assert "policy pushed" in shown.stdout
    assert day["digest"] not in shown.stdout, "another seed is another day"
    assert [each["hour"] for each in day["hours"]] == list(range(24))
    assert {each["name"] for each in day["changes"]} == {"policy pushed", "rule changed"}
