"""Looks that hang, break or see nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.inspection.bounded import Bounded, Unseen


def test_what_is_seen_is_returned_also_where_it_is_nothing() -> None:
    assert Bounded()({"a": lambda: 1, "b": lambda: None}) == {"a": 1, "b": None}


def test_what_breaks_is_told_and_the_others_go_on() -> None:
    def refused() -> int:
        raise HostError("The disk says no.")

    def broken() -> int:
        raise KeyError("x")

    looks: dict[str, Callable[[], int]] = {"a": refused, "b": broken, "c": lambda: 3}

    assert Bounded()(looks) == {"a": Unseen(cause="The disk says no."), "b": Unseen(cause="KeyError: 'x'"), "c": 3}


def test_all_that_hang_are_waited_for_together_and_never_begun_twice() -> None:
    for_ever, begun = threading.Event(), []

    def hangs() -> None:
        begun.append(1)
        for_ever.wait()

    bounded = Bounded(patience_seconds=0.3)
    started = time.monotonic()

    first = bounded({"a": hangs, "b": hangs, "c": lambda: None})
    second = bounded({"a": hangs, "c": lambda: None})

    assert time.monotonic() - started < 3
    assert first == {"a": Unseen(cause="It did not answer within 0.3 seconds."), "b": first["a"], "c": None}
    assert second == {"a": Unseen(cause="It still hangs since somebody looked before."), "c": None}
    assert len(begun) == 2
    for_ever.set()
    while threading.active_count() > 1 and any(thread.name == "look-a" for thread in threading.enumerate()):
        time.sleep(0.01)
    assert bounded({"a": lambda: None}) == {"a": None}
