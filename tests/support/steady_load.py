"""Devices that check in without a pause, and a ledger of what was acknowledged to them."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.check_in_storm import Outcome, Storm
from tests.support.storm_fleet import StormDevice, StormFleet, StormRequest

from shieldwall.contract.messages import TamperAttempt

ATTEMPT = TamperAttempt(at="2026-11-26T12:00:00Z", kind="agentFileChanged", subject="/etc/shieldwall")
_AGAIN_SECONDS = 0.2


@dataclass
class Ledger:
    """What was acknowledged to whom."""

    seqs: dict[int, int] = field(default_factory=dict)
    attempts: Counter[int] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    gap: float = 0.0
    """The longest time without any acknowledgement, in seconds."""

    def note(self, outcome: Outcome) -> bool:
        """Write down an outcome; say whether the request was acknowledged."""
        self.answers[str(outcome.status) if outcome.status else "none"] += 1
        assert outcome.status in {0, 200, 204, 503}, (outcome.status, outcome.body)
        if outcome.status in {0, 503}:
            return False
        self.seqs[outcome.request.device] = outcome.request.seq
        self.attempts[outcome.request.device] += outcome.request.attempts
        return True


class Load:
    """Devices that check in one after the other, with news and without; each repeats what was not acknowledged."""

    def __init__(self, authority: str, port: int, fleet: StormFleet) -> None:
        self._authority = authority
        self._fleet = fleet
        self._storm = Storm(port=port, patience=20.0)
        self._later: deque[tuple[float, StormRequest]] = deque()
        self._last = time.monotonic()
        self.ledger = Ledger()

    def run(self, *, until: threading.Event) -> None:
        """Go on until told to stop, and then until each device was acknowledged what it sent last."""
        for device in self._fleet:
            self._storm.send(self._next(device))
        while self._storm.under_way or self._later:
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                request = self._later.popleft()[1]
                self._storm.send(self._fleet.device(request.device).again(request, self._authority, time.time()))
            for outcome in self._storm.outcomes(0.05):
                if not self.ledger.note(outcome):
                    self._later.append((time.monotonic() + _AGAIN_SECONDS, outcome.request))
                    continue
                self.ledger.gap = max(self.ledger.gap, time.monotonic() - self._last)
                self._last = time.monotonic()
                if not until.is_set():
                    self._storm.send(self._next(self._fleet.device(outcome.request.device)))
        self._storm.close()

    def _next(self, device: StormDevice) -> StormRequest:
        tells = device.number % 2 == 0
        return device.check_in(self._authority, time.time(), attempts=(ATTEMPT,) if tells else ())


@contextmanager
def loaded(load: Load) -> Iterator[Ledger]:
    """Keep the load up; what went wrong in it goes wrong here."""
    failures: list[BaseException] = []
    stop = threading.Event()

    def work() -> None:
        try:
            load.run(until=stop)
        except BaseException as failure:  # noqa: BLE001 - raised below, where the test sees it
            failures.append(failure)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield load.ledger
    finally:
        stop.set()
        thread.join(60)
    assert not failures, failures
    assert not thread.is_alive(), f"somebody was never acknowledged: {load.ledger.answers}"
