"""How a device waits by a broker: without trusting it, and without asking the server over and over."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.journal import Journal
from shieldwall.agent.service.broker_line import WAKES_AN_HOUR, BrokerLine, WakeBudget
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract.messages import LineAnswer

OFFERED = LineAnswer(url="tls://broker.example:4222", subject="shieldwall.t.d", token="a.b.c", seconds=86_400)


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 26, tzinfo=UTC)


@dataclass
class PretendLine:
    is_open: bool = True
    wakes: int = 0
    closed: bool = False

    def wait(self, seconds: float) -> bool:
        assert seconds > 0
        if self.wakes:
            self.wakes -= 1
            return True
        return False

    def close(self) -> None:
        self.closed = True


@dataclass
class Device:
    """A device whose server and broker do as a test says."""

    home: Path
    answer: LineAnswer | None = OFFERED
    reachable: bool = True
    now: float = 1_000_000.0
    asked: int = 0
    lines: list[PretendLine] = field(default_factory=list)
    rests: list[float] = field(default_factory=list)

    def line(self) -> BrokerLine:
        state = AgentState(directory=self.home, disk=LocalDisk())
        state.restart_sequence(1)
        return BrokerLine(
            state=state,
            gateway=self,  # type: ignore[arg-type]  # it asks for nothing but lines
            open_line=self.open,
            journal=Journal(out=io.StringIO(), clock=FixedClock()),
            chance=lambda: 0.5,
            monotonic=lambda: self.now,
            rest=self.rests.append,
        )

    def ask(self, path: str, message: Any, answer: Any) -> LineAnswer | None:
        assert (path, answer) == ("/device/v1/line", LineAnswer)
        assert message.key.startswith("U")
        self.asked += 1
        return self.answer

    def open(self, offered: LineAnswer, _key: Ed25519PrivateKey) -> PretendLine:
        assert offered == OFFERED
        if not self.reachable:
            raise GatewayUnreachableError("The broker is away.")
        self.lines.append(PretendLine())
        return self.lines[-1]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_a_wake_is_followed_within_seconds(device: Device) -> None:
    line = device.line()
    assert line.wait(60) is Wake.TIME
    device.lines[0].wakes = 1

    assert line.wait(60) is Wake.SYNC
    assert device.rests == [2.5], "spread, for many may have been woken with it"
    assert device.asked == 1


def test_a_server_without_a_broker_is_asked_once_a_day(device: Device) -> None:
    device.answer = None
    line = device.line()
    for _ in range(100):
        assert line.wait(60) is None
        device.now += 600
    assert device.asked == 1
    device.now += 86_400
    assert line.wait(60) is None
    assert device.asked == 2


def test_a_broker_that_is_away_is_tried_every_few_minutes(device: Device) -> None:
    device.reachable = False
    line = device.line()
    for _ in range(60):
        assert line.wait(60) is None
        device.now += 60
    assert 7 <= device.asked <= 9
    device.reachable = True
    device.now += 600
    assert line.wait(60) is Wake.TIME


def test_a_line_that_broke_is_replaced_after_some_minutes(device: Device) -> None:
    line = device.line()
    line.wait(60)
    device.lines[0].is_open = False

    assert line.wait(60) is None
    assert device.lines[0].closed
    device.now += 451
    assert line.wait(60) is Wake.TIME
    assert len(device.lines) == 2


def test_a_line_is_renewed_before_its_token_ends(device: Device) -> None:
    line = device.line()
    line.wait(60)
    device.now += 0.89 * OFFERED.seconds

    assert line.wait(60) is Wake.TIME
    assert device.lines[0].closed
    assert (len(device.lines), device.asked) == (2, 2)


def test_a_broker_in_other_hands_cannot_keep_a_device_busy(device: Device) -> None:
    line = device.line()
    line.wait(60)
    device.lines[0].wakes = 10_000
    heard = []
    for _ in range(3_600):
        heard.append(line.wait(60))
        device.now += 1

    assert heard.count(Wake.SYNC) <= 2 * WAKES_AN_HOUR


@given(st.lists(st.floats(min_value=0, max_value=3_600), max_size=300))
def test_in_any_hour_no_more_wakes_than_twice_the_budget(pauses: list[float]) -> None:
    budget, now, taken = WakeBudget(), 0.0, []
    for pause in pauses:
        now += pause
        if budget.take(now):
            taken.append(now)
    for start in taken:
        assert sum(start <= at < start + 3_600 for at in taken) <= 2 * WAKES_AN_HOUR
