"""A value of the kernel that somebody changes is noticed within seconds, by a clock of the test's own and for real."""

from __future__ import annotations

import queue
import threading
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.policies import LEVEL
from tests.support.pretend_products import PretendProvider

from shieldwall.agent.applier import kernel_values
from shieldwall.agent.applier.kernel_values import READ_SECONDS, KernelValues
from shieldwall.agent.applier.transaction import Seen
from shieldwall.agent.applier.watching import DriftWatch
from shieldwall.agent.host.local import LocalHost

VALUE, OTHER = PurePosixPath("/proc/sys/kernel/sysrq"), PurePosixPath("/sys/kernel/odd")
_LOOPS_SECONDS = 10.0
"""The longest that the loop around it sleeps."""


class Timepiece:
    """A clock that somebody turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class ValueProvider(PretendProvider):
    """A product whose files are values of the kernel."""

    def files(self) -> tuple[PurePosixPath, ...]:
        return (VALUE, PurePosixPath("/etc/first/0.conf"))


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    host = LocalHost(tmp_path, program_directories=())
    for path in (VALUE, OTHER):
        host.locate(path).parent.mkdir(parents=True)
        host.locate(path).write_text("0\n")
    return host


def watched(host: LocalHost, clock: Timepiece) -> KernelValues:
    return KernelValues(host=host, paths=(VALUE, OTHER), monotonic=clock)


def test_the_first_reading_only_remembers_and_a_change_is_told_of_once(host: LocalHost) -> None:
    clock = Timepiece()
    values = watched(host, clock)
    assert values.seconds_left() == 0
    assert values.changed() == ()

    host.locate(VALUE).write_text("1\n")
    clock.now += READ_SECONDS - 1
    assert (values.changed(), values.seconds_left()) == ((), 1)
    clock.now += 1
    assert values.changed() == (VALUE,)
    clock.now += READ_SECONDS
    assert values.changed() == ()


def test_a_value_that_goes_or_comes_is_a_change(host: LocalHost) -> None:
    clock = Timepiece()
    values = watched(host, clock)
    values.changed()
    host.locate(OTHER).unlink()
    clock.now += READ_SECONDS
    assert values.changed() == (OTHER,)


@given(at=st.floats(0, 1000), steps=st.lists(st.floats(0.1, _LOOPS_SECONDS), min_size=1, max_size=20))
def test_whenever_it_is_changed_it_is_noticed_in_time(
    tmp_path_factory: pytest.TempPathFactory, at: float, steps: list[float]
) -> None:
    host = LocalHost(tmp_path_factory.mktemp("root"), program_directories=())
    host.locate(VALUE).parent.mkdir(parents=True)
    host.locate(VALUE).write_text("0")
    clock = Timepiece()
    values = KernelValues(host=host, paths=(VALUE,), monotonic=clock)
    values.changed()
    changed_at, index = None, 0
    while True:
        # As the loop does: it sleeps until the next reading, or less, and never more.
        clock.now += min(values.seconds_left(), steps[index % len(steps)])
        index += 1
        if changed_at is None and clock.now >= at:
            changed_at = clock.now
            host.locate(VALUE).write_text("1")
        if values.changed():
            break
    assert changed_at is not None
    assert clock.now - changed_at <= READ_SECONDS


def test_who_watches_has_it_looked_after(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_values, "READ_SECONDS", 0.2)
    looks: queue.Queue[Seen] = queue.Queue()
    watch = DriftWatch(host=host, providers=(ValueProvider("first", [LEVEL]),), look=looks.put, notifiers=())
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        with pytest.raises(queue.Empty):
            looks.get(timeout=1)
        host.locate(VALUE).write_text("1\n")
        assert looks.get(timeout=60) == {VALUE: ""}
    finally:
        watch.stop()
        thread.join(30)


def test_without_values_nobody_wakes_for_them(host: LocalHost) -> None:
    assert KernelValues(host=host, paths=(), monotonic=Timepiece()).seconds_left() == float("inf")
