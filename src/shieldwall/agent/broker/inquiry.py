"""Which files the engine is being asked about, and whether it lives at all.

Many may wait for one file; it is asked about once. When the engine is gone, or silent, nobody waits for it: all who do
are given up at once, and it is asked every second whether it is back.
"""

from __future__ import annotations

import collections
import select
from collections.abc import Callable
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.broker.engine import Answer, EngineBusyError, EngineDownError, Question
from shieldwall.agent.broker.processes import Process
from shieldwall.agent.broker.settings import Settings
from shieldwall.agent.broker.telling import Tell, Trouble
from shieldwall.agent.broker.verdicts import Key

SCAN_SECONDS: Final = 150.0
"""Longest that a scan is waited for; clamd's own limit is 120."""
SILENT_SECONDS: Final = 3.0
"""A scan that takes longer makes us ask whether the engine lives, and a question so old means that it does not."""
RETRY_SECONDS: Final = 0.25


class Opening(Struct):
    """Somebody who opens a file; ``descriptor`` is that file."""

    descriptor: int
    process: Process
    path: str
    executes: bool
    deadline: float
    answered: bool = False


class Scan(Struct):
    """A file that is being looked at, for all who wait for it."""

    key: Key
    begun_at: float
    waiting: list[Opening] = field(default_factory=list)
    question: Question | None = None


Finish = Callable[[Scan, str | None], None]
"""Takes a file with the threat found in it: empty for none, ``None`` when nobody can say."""


class Inquiry:
    """Asks the engine, a bounded number of questions at a time."""

    def __init__(self, poll: select.epoll, settings: Callable[[], Settings], finish: Finish, tell: Tell) -> None:
        self.engine_answers = True
        self._poll = poll
        self._settings = settings
        self._finish = finish
        self._tell = tell
        self._scans: dict[Key, Scan] = {}
        self._queue: collections.deque[Scan] = collections.deque()
        self._asked: dict[int, Scan] = {}
        self._ping: Question | None = None
        self._retry_at = 0.0

    def is_busy(self) -> bool:
        """Say whether there is anything to look after soon."""
        return bool(self._scans) or not self.engine_answers

    def add(self, opening: Opening, key: Key, now: float) -> None:
        """Have a file looked at for somebody; if it is being looked at already, let him wait with the others."""
        scan = self._scans.get(key)
        if scan is None:
            scan = self._scans[key] = Scan(key, now)
            self._queue.append(scan)
        scan.waiting.append(opening)

    def ask_more(self, now: float) -> None:
        """Ask about what waits, as far as there is room."""
        while self._queue and self.engine_answers and len(self._asked) < self._settings().concurrency:
            scan = self._queue[0]
            try:
                scan.question = Question(self._settings().engine_socket, scan.waiting[0].descriptor, now)
            except EngineBusyError:
                return  # it is asked again at the next tick
            except EngineDownError as error:
                self._is_down(f"{error.strerror or error}.", now)
                return
            self._queue.popleft()
            scan.begun_at = now
            self._asked[scan.question.fileno()] = scan
            self._poll.register(scan.question.fileno(), select.EPOLLIN)

    def hear(self, descriptor: int, now: float) -> None:
        """Take what was said at a connection of ours."""
        if descriptor in self._asked:
            self._hear_scan(self._asked[descriptor], now)
        elif self._ping is not None and descriptor == self._ping.fileno():
            self._hear_ping()

    def look_at_the_clock(self, now: float) -> None:
        """End what takes too long, and find out whether the engine lives when that is in doubt."""
        slow = [scan for scan in self._asked.values() if now - scan.begun_at > SILENT_SECONDS]
        for scan in slow:
            if now - scan.begun_at > SCAN_SECONDS:
                self._end_question(scan)
                self._end(scan, None)
        if self._ping is not None:
            if now - self._ping.asked_at > SILENT_SECONDS:
                self._end_ping()
                self._is_down("It does not answer.", now)
        elif (slow or not self.engine_answers) and now >= self._retry_at:
            self._retry_at = now + RETRY_SECONDS
            self._begin_ping(now)

    def _hear_scan(self, scan: Scan, now: float) -> None:
        assert scan.question is not None
        answer = scan.question.answer()
        if answer is None:
            return
        self._end_question(scan)
        if answer is Answer.BROKEN:
            self._end(scan, None)
            self._is_down("It closed a connection without an answer.", now)
        else:
            self._end(scan, None if isinstance(answer, Answer) else answer)

    def _end(self, scan: Scan, threat: str | None) -> None:
        self._scans.pop(scan.key, None)
        self._finish(scan, threat)

    def _begin_ping(self, now: float) -> None:
        try:
            self._ping = Question(self._settings().engine_socket, None, now)
        except EngineBusyError:
            return
        except EngineDownError as error:
            self._is_down(f"{error.strerror or error}.", now)
            return
        self._poll.register(self._ping.fileno(), select.EPOLLIN)

    def _hear_ping(self) -> None:
        assert self._ping is not None
        answer = self._ping.answer()
        if answer is None:
            return
        self._end_ping()
        if answer == "" and not self.engine_answers:
            self.engine_answers = True
            self._tell(Trouble("engineUp", "clamd answers again; files are looked at as they are opened."))

    def _is_down(self, why: str, now: float) -> None:
        """Let nobody wait for an engine that is not there."""
        self._retry_at = now + RETRY_SECONDS
        if self.engine_answers:
            self.engine_answers = False
            settings = self._settings()
            passes = settings.when_engine_is_down == "allow" or settings.mode == "audit"
            effect = "Files are opened without a look at them" if passes else "Files that others can change are refused"
            self._tell(Trouble("engineDown", f"clamd cannot be asked: {why} {effect}."))
        self._queue.clear()
        for scan in list(self._scans.values()):
            if scan.question is not None:
                self._end_question(scan)
            self._end(scan, None)

    def _end_question(self, scan: Scan) -> None:
        assert scan.question is not None
        self._poll.unregister(scan.question.fileno())
        del self._asked[scan.question.fileno()]
        scan.question.close()
        scan.question = None

    def _end_ping(self) -> None:
        assert self._ping is not None
        self._poll.unregister(self._ping.fileno())
        self._ping.close()
        self._ping = None
