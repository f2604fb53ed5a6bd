"""One agent at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.service.errors import AgentBusyError
from shieldwall.agent.service.lock import Holder, StateLock


class Hours:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def lock(tmp_path: Path) -> StateLock:
    hours = Hours()
    return StateLock(directory=tmp_path / "state", monotonic=hours.monotonic, sleep=hours.sleep)


def test_who_holds_the_lock_can_be_seen(lock: StateLock) -> None:
    assert lock.holder() is None
    with lock.held(running=True):
        assert lock.holder() == Holder(pid=os.getpid(), running=True)
    assert lock.holder() is None


def test_the_second_waits_and_then_is_told_who_is_at_work(lock: StateLock) -> None:
    with lock.held(), pytest.raises(AgentBusyError, match=str(os.getpid())), lock.held(patience_seconds=5.0):
        pass
    assert lock.monotonic() > 5.0


def test_a_link_in_the_place_of_the_lock_is_refused(lock: StateLock, tmp_path: Path) -> None:
    lock.directory.mkdir()
    (lock.directory / "lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(HostError), lock.held():
        pass

    assert not (tmp_path / "elsewhere").exists()
