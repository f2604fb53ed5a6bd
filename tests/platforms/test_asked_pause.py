"""A pause in which other threads ask."""

from __future__ import annotations

import threading
import time

import pytest

from shieldwall.agent.service.asked_pause import AskedPause
from shieldwall.agent.service.waiting import Wake
from shieldwall.agent.windows.working import ErrandPause


def test_nobody_asks_and_the_time_runs_out() -> None:
    assert AskedPause().sleep(0.01) is Wake.TIME


def test_what_was_asked_before_counts_and_to_stop_counts_first() -> None:
    pause = AskedPause()
    pause.ask(Wake.SYNC)
    pause.ask(Wake.STOP)

    assert [pause.sleep(60), pause.during(lambda: Wake.TIME), pause.sleep(0.0)] == [Wake.STOP, Wake.SYNC, Wake.TIME]


def test_work_that_ends_says_why_and_work_that_fails_raises() -> None:
    def fails() -> Wake:
        raise ValueError("no")

    assert AskedPause().during(lambda: Wake.SYNC) is Wake.SYNC
    with pytest.raises(ValueError, match="no"):
        AskedPause().during(fails)


def test_work_is_broken_off_at_any_moment() -> None:
    pause, begun, go_on = AskedPause(), threading.Event(), threading.Event()

    def long() -> Wake:
        begun.set()
        go_on.wait(30)
        return Wake.TIME

    def ask() -> None:
        begun.wait(30)
        pause.ask(Wake.STOP)

    threading.Thread(target=ask).start()
    before = time.monotonic()
    assert pause.during(long) is Wake.STOP
    assert time.monotonic() - before < 20
    go_on.set()


def test_errands_are_done_when_somebody_asks_and_one_that_ends_management_ends_the_work() -> None:
    kinds = [frozenset({"onboard"}), frozenset({"offboard"})]
    pause = ErrandPause(run=lambda: kinds.pop(0))

    pause.ask(Wake.SYNC)
    assert pause.sleep(60) is Wake.SYNC
    pause.ask(Wake.SYNC)
    assert pause.sleep(60) is Wake.STOP
    assert kinds == []
