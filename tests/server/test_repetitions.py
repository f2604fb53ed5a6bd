"""A log says once a minute what somebody finds out over and over."""

from __future__ import annotations

from typing import Any

import structlog

from shieldwall.server.observing.repetitions import SECONDS, Repetitions


class Told:
    """What gets through at which moment."""

    def __init__(self) -> None:
        self.now = 0.0
        self._repetitions = Repetitions(lambda: self.now)

    def says(self, method: str = "warning", **event: Any) -> dict[str, Any] | None:
        try:
            return dict(self._repetitions(None, method, dict(event)))
        except structlog.DropEvent:
            return None


def test_a_warning_is_said_once_a_minute_and_then_how_often_it_was_not() -> None:
    told, warning = Told(), {"event": "events_not_read", "cause": "No database."}

    assert told.says(**warning) == warning
    for told.now in (1.0, 2.0, SECONDS - 0.1):
        assert told.says(**warning) is None
    told.now = SECONDS
    assert told.says(**warning) == warning | {"left_out": 3}
    told.now = 2 * SECONDS
    assert told.says(**warning) == warning, "nothing was left out meanwhile"


def test_what_differs_is_said_each_time() -> None:
    told = Told()
    different: list[dict[str, Any]] = [
        {"event": "sweep_failed", "cause": "No database."},
        {"event": "sweep_failed", "cause": "No room."},
        {"event": "sweep_failed", "cause": "No room.", "tenant": "a"},
        {"event": "events_not_read", "cause": "No room."},
    ]
    assert [told.says(**event) for event in different] == different
    assert [told.says(**event) for event in different] == [None] * 4


def test_what_belongs_to_a_request_is_no_warning_or_names_no_cause_is_always_said() -> None:
    told = Told()
    for method, event in (
        ("warning", {"event": "refused", "cause": "No.", "request_id": "r-1"}),
        ("error", {"event": "process_ended", "cause": "Killed."}),
        ("info", {"event": "index_read_anew", "cause": "There was none."}),
        ("warning", {"event": "said"}),
    ):
        assert [told.says(method, **event) for _ in range(2)] == [event, event]


def test_ever_new_warnings_take_no_more_and_more_memory() -> None:
    told = Told()
    for number in range(10_000):
        assert told.says(event="failed", cause=str(number)) is not None
    assert len(told._repetitions._said) <= 256
