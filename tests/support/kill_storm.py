"""A storm with a ledger: devices that say what must not be lost or counted twice, and repeat it until it is answered.

Each device has one request under way at most. Where the answer is lost it sends the very same request again, as often
as it takes. The ledger holds what was acknowledged; ``check`` compares it with what the server holds in the end.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import func, select
from tests.support.check_in_storm import Outcome, Storm
from tests.support.storm_fleet import StormDevice, StormFleet, StormRequest

from shieldwall.contract.ids import Digest, SettingId
from shieldwall.contract.messages import TamperAttempt
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.check_ins.device_reports import MOST_KEPT
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.device_schema import alerts, device_reports

AT_ONCE = 16
AGAIN_SECONDS = 0.25
_TAKEN = frozenset({200, 204})
_LATER = frozenset({0, 503})
_ATTEMPT = TamperAttempt(at="2026-11-26T12:00:00Z", kind="settingChanged", subject="storm")


@dataclass
class Entry:
    """What one device was acknowledged."""

    seq: int = 0
    reports: list[Digest] = field(default_factory=list)
    attempts: int = 0


@dataclass(kw_only=True)
class LedgerStorm:
    """Devices that go on whatever happens to the server."""

    fleet: StormFleet
    storm: Storm
    authority: str
    chance: random.Random
    at_once: int = AT_ONCE
    ledger: dict[int, Entry] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    meanwhile: Callable[[], None] = lambda: None
    """Done again and again while it goes on."""
    lost: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    last_taken: float = 0.0
    """When the newest request began that was acknowledged."""
    _again: list[tuple[float, int, StormRequest]] = field(default_factory=list)
    _idle: list[int] = field(default_factory=list)
    _sent: int = 0
    _begins: bool = True
    """Whether anything new begins."""

    def __post_init__(self) -> None:
        self._idle = list(self.fleet.numbers)
        self.chance.shuffle(self._idle)
        self.ledger = {number: Entry() for number in self.fleet.numbers}

    def go_on(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Storm for so long, or until something is so; say whether it came to be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._fill()
            self.meanwhile()
            for outcome in self.storm.outcomes(0.02):
                self._learn(outcome)
            assert not self.refused, self.refused[:3]
            if until():
                return True
        return until()

    def settle(self, seconds: float) -> None:
        """Let nothing new begin, and repeat what is unanswered until all is answered."""
        self._begins = False
        settled = self.go_on(seconds, lambda: not self._again and not self.storm.under_way)
        assert settled, f"{len(self._again)} requests are still not answered: {self.lost}"

    def call_all(self, seconds: float) -> None:
        """Let every device check in once more: none may be stuck."""
        before = {number: entry.seq for number, entry in self.ledger.items()}
        waiting = list(self.fleet.numbers)
        end = time.monotonic() + seconds
        while waiting or self._again or self.storm.under_way:
            assert time.monotonic() < end, f"{len(waiting)} devices could not check in: {self.lost}"
            while waiting and self.storm.under_way < self.at_once:
                self._send(self.fleet.device(waiting.pop()).check_in(self.authority, time.time()))
            self._repeat()
            self.meanwhile()
            for outcome in self.storm.outcomes(0.02):
                self._learn(outcome)
        stuck = [number for number, entry in self.ledger.items() if entry.seq == before[number]]
        assert not stuck, f"devices are stuck: {stuck[:10]}"

    def check(self, database: Database) -> None:
        """Compare what was acknowledged with what is there. Every lie of the server fails here."""
        assert not self.refused, self.refused[:5]
        with database.read() as connection:
            told = {str(device): int(count) for device, count in connection.execute(_REPORTS_OF_EACH)}
            counted = {str(device): int(count) for device, count in connection.execute(_ATTEMPTS_OF_EACH)}
            for device in self.fleet:
                entry, held = self.ledger[device.number], check_ins.get(connection, device.id)
                name = f"device {device.number}"
                assert held.seq == entry.seq, f"{name} was acknowledged {entry.seq}, and {held.seq} is there"
                assert counted.get(device.id, 0) == entry.attempts, f"{name}: attempts lost, or counted twice"
                reports = len(entry.reports)
                assert told.get(device.id, 0) == min(reports, MOST_KEPT), f"{name}: reports lost, or kept twice"
                if entry.reports:
                    assert held.status_digest == entry.reports[-1], f"{name}: another report is its last one"
                    assert statuses.exists(connection, self.fleet.tenant_id, entry.reports[-1])

    @property
    def acknowledged(self) -> int:
        """How many requests were acknowledged."""
        return sum(self.statuses[status] for status in _TAKEN)

    def _fill(self) -> None:
        self._repeat()
        while self._begins and self._idle and self.storm.under_way + len(self._again) < self.at_once:
            self._send(self._next(self.fleet.device(self._idle.pop())))

    def _repeat(self) -> None:
        now = time.monotonic()
        while self._again and self._again[0][0] <= now and self.storm.under_way < self.at_once:
            _, _, request = heapq.heappop(self._again)
            self._send(self.fleet.device(request.device).again(request, self.authority, time.time()))

    def _next(self, device: StormDevice) -> StormRequest:
        match self.chance.choices(("nothing", "report", "attempt"), (5, 4, 1))[0]:
            case "report":
                return device.check_in(self.authority, time.time(), report=a_report(device.number, device.seq + 1))
            case "attempt":
                return device.check_in(self.authority, time.time(), attempts=(_ATTEMPT,))
            case _:
                return device.check_in(self.authority, time.time())

    def _send(self, request: StormRequest) -> None:
        self._sent += 1
        self.storm.send(request)

    def _learn(self, outcome: Outcome) -> None:
        request, status = outcome.request, outcome.status
        self.statuses[status] += 1
        if status in _LATER:
            self.lost[outcome.failure.partition(":")[0] or str(status)] += 1
            heapq.heappush(self._again, (time.monotonic() + AGAIN_SECONDS, self._sent, request))
            self._sent += 1
            return
        if status not in _TAKEN:
            self.refused.append(f"{status} to number {request.seq} of device {request.device}: {outcome.body!r}")
        else:
            self._take(request)
            self.last_taken = max(self.last_taken, outcome.begun)
        self._idle.insert(self.chance.randrange(len(self._idle) + 1), request.device)

    def _take(self, request: StormRequest) -> None:
        entry = self.ledger[request.device]
        entry.seq = request.seq
        entry.attempts += request.attempts
        if request.report is not None:
            entry.reports.append(request.report)
            self.fleet.device(request.device).status = request.report


def a_report(number: int, seq: int) -> StatusReport:
    """Make a report like no other."""
    setting = SettingStatus(
        setting=SettingId("storm_setting"), state=SettingState.SUCCEEDED, reason=f"{number} says it at {seq}"
    )
    return StatusReport(settings=(setting,))


_REPORTS_OF_EACH = select(device_reports.c.device_id, func.count()).group_by(device_reports.c.device_id)
_ATTEMPTS_OF_EACH = (
    select(alerts.c.device_id, func.sum(alerts.c.times))
    .where(alerts.c.kind == "tamper.settingChanged")
    .group_by(alerts.c.device_id)
)
