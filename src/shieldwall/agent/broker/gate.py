"""The loop that answers the kernel. One thread, which never waits for anything but the next event.

Whoever opens a file on a watched mount waits for this thread. So it must never open such a file itself, and neither
wait for somebody who might: it opens no file at all. What needs files (settings, events, definitions, mounts) is done
by ``keeper.Keeper`` in a thread of its own, whose opens are answered here like anybody's.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import select
import stat
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from shieldwall.agent.broker import processes, verdicts
from shieldwall.agent.broker.fanotify import Event, Group
from shieldwall.agent.broker.inquiry import Inquiry, Opening, Scan
from shieldwall.agent.broker.matching import Matcher
from shieldwall.agent.broker.settings import Settings
from shieldwall.agent.broker.telling import Found, Tell, Trouble
from shieldwall.agent.broker.verdicts import CLEAN, Cache, Key

BUSY_TICK: Final = 0.2
IDLE_TICK: Final = 5.0


class Rules(Struct, frozen=True, kw_only=True):
    """What the gate goes by; replaced as a whole."""

    settings: Settings
    matcher: Matcher
    engine_uid: int | None


class Gate:
    """Answers every open: from memory, by exclusion, or by asking the engine."""

    def __init__(
        self, group: Group, rules: Rules, tell: Tell, sign: Callable[[], None], *, maximum_waiting: int
    ) -> None:
        """``sign`` is called at least every ``IDLE_TICK`` while all is well."""
        self.rules = rules
        self.spared: frozenset[int] = frozenset()
        self.beat = time.monotonic()
        """When the loop last went round."""
        self._sign = sign
        self._signed = 0.0
        self._group = group
        self._tell = tell
        self._maximum_waiting = maximum_waiting
        self._cache = Cache(rules.settings.cache_entries)
        self._open = 0
        self._oldest: collections.deque[Opening] = collections.deque()
        self._orders: collections.deque[Callable[[], None]] = collections.deque()
        self._poll = select.epoll()
        self._poll.register(group.fileno(), select.EPOLLIN)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._inquiry = Inquiry(self._poll, lambda: self.rules.settings, self._finish, tell)
        self._own = os.getpid()
        self._stopping = False

    @property
    def engine_answers(self) -> bool:
        """Whether the engine takes questions."""
        return self._inquiry.engine_answers

    def order(self, order: Callable[[], None]) -> None:
        """Have something done between two events; from any thread."""
        self._orders.append(order)
        os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """End the loop; from any thread or a signal handler."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)

    def take(self, rules: Rules) -> None:
        """Go by other rules from the next event on. To be ordered."""
        self.rules = rules
        self._cache.resize(rules.settings.cache_entries)

    def forget(self) -> None:
        """Ask anew about every file, because there are new definitions. To be ordered."""
        self._cache.forget(time.monotonic())

    def run(self) -> None:
        """Answer until stopped; then everything that waits is answered before this returns."""
        try:
            while not self._stopping:
                self._round()
        finally:
            for opening in self._oldest:
                if not opening.answered:
                    self._give_up(opening)
            self._group.close()  # and with this whatever else waits

    def _round(self) -> None:
        ready = self._poll.poll(BUSY_TICK if self._inquiry.is_busy() else IDLE_TICK)
        now = self.beat = time.monotonic()
        if now - self._signed >= 1.0:
            self._signed = now
            self._sign()
        for descriptor, _ in ready:
            if descriptor == self._group.fileno():
                for event in self._group.events():
                    self._handle(event, now)
            elif descriptor == self._wake:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
            else:
                self._inquiry.hear(descriptor, now)
        while self._orders:
            self._orders.popleft()()
        self._end_waiting(now)
        self._inquiry.look_at_the_clock(now)
        self._inquiry.ask_more(now)

    def _handle(self, event: Event, now: float) -> None:
        if event.descriptor < 0:
            if event.overflow:
                self._tell(Trouble("overflow", "The kernel could not queue all opens; some passed unseen."))
            return
        try:
            self._judge(event, now)
        except (OSError, ValueError) as error:  # one file that is odd must not stop the answers for all others
            self._tell(Trouble("fault", f"A file could not be looked at: {error}."))
            with contextlib.suppress(OSError):
                self._let_go(event.descriptor)

    def _judge(self, event: Event, now: float) -> None:
        settings = self.rules.settings
        status = os.fstat(event.descriptor)
        passes = (
            not stat.S_ISREG(status.st_mode)
            or status.st_size == 0
            or status.st_size > settings.maximum_file_bytes
            or event.pid == self._own
            or event.pid in self.spared
        )
        key = Key.of(status)
        known = CLEAN if passes else self._cache.find(key, now)
        if known == CLEAN:
            self._let_go(event.descriptor)
            return
        process = processes.look_at(event.pid)
        path = _path_of(event.descriptor)
        if processes.is_engine(process, self.rules.engine_uid) or self._is_left_out(event, process, path):
            self._let_go(event.descriptor)
            return
        opening = Opening(event.descriptor, process, path, event.executes, now + settings.deadline_seconds)
        self._open += 1
        if known is not None:
            self._decide(opening, key, known)
            self._release(opening)
        elif not self.engine_answers:
            self._give_up(opening)
            self._release(opening)
        elif self._open > self._maximum_waiting:
            self._tell(Trouble("overload", f"More than {self._maximum_waiting} opens wait for the engine."))
            self._give_up(opening)
            self._release(opening)
        else:
            self._wait(opening, key, now)

    def _is_left_out(self, event: Event, process: processes.Process, path: str) -> bool:
        matcher = self.rules.matcher
        if matcher.knows_files and matcher.leaves_out_file(path) and processes.is_same_file(path, event.descriptor):
            return True
        return (
            matcher.knows_processes
            and process.program != ""
            and matcher.leaves_out_process(process.program)
            and processes.is_same_file(process.program, f"/proc/{event.pid}/exe")
        )

    def _wait(self, opening: Opening, key: Key, now: float) -> None:
        self._oldest.append(opening)
        self._inquiry.add(opening, key, now)
        if self.rules.settings.mode == "audit":
            self._answer(opening, allow=True)  # nobody has to wait for what is only told
        self._inquiry.ask_more(now)

    def _end_waiting(self, now: float) -> None:
        """Give up who waited too long; the scan goes on, for those who come later."""
        while self._oldest and (self._oldest[0].answered or self._oldest[0].deadline <= now):
            opening = self._oldest.popleft()
            if not opening.answered:
                self._tell(Trouble("tooSlow", f"The engine did not say in time what {opening.path[:512]} is."))
                self._give_up(opening)

    def _finish(self, scan: Scan, threat: str | None) -> None:
        """Answer all who wait for a file; ``None`` when nobody can say what it is."""
        if threat is not None:
            self._remember(scan, threat)
        for opening in scan.waiting:
            if threat is not None:
                self._decide(opening, scan.key, threat)
            elif not opening.answered:
                self._give_up(opening)
            self._release(opening)
        scan.waiting.clear()

    def _remember(self, scan: Scan, threat: str) -> None:
        """Keep a verdict, if the file is still what was looked at and its next change will show."""
        descriptor = scan.waiting[0].descriptor
        settled = verdicts.is_settled(scan.key, time.clock_gettime(time.CLOCK_REALTIME))
        if settled and Key.of(os.fstat(descriptor)) == scan.key and _nobody_writes(descriptor):
            self._cache.keep(scan.key, threat, time.monotonic())

    def _decide(self, opening: Opening, key: Key, threat: str) -> None:
        """Answer somebody about a file whose verdict is known, and tell of a threat."""
        settings = self.rules.settings
        wanted = "off" if threat == CLEAN else verdicts.action(settings, threat)
        denied = wanted == "block" and settings.mode == "block"
        late = denied and opening.answered
        self._answer(opening, allow=not denied)
        if wanted != "off":
            found = Found(
                threat=threat,
                key=key,
                path=opening.path,
                process=opening.process,
                denied=denied and not late,
                late=late,
                executes=opening.executes,
                owner=os.fstat(opening.descriptor).st_uid,
                descriptor=os.dup(opening.descriptor) if settings.hashes else None,
            )
            self._tell(found)

    def _give_up(self, opening: Opening) -> None:
        """Answer somebody whom nobody can tell what the file is."""
        settings = self.rules.settings
        status = os.fstat(opening.descriptor)
        only_root = status.st_uid == 0 and not status.st_mode & 0o022  # or the engine itself could never come back
        self._answer(opening, allow=settings.when_engine_is_down == "allow" or settings.mode == "audit" or only_root)

    def _answer(self, opening: Opening, *, allow: bool) -> None:
        if not opening.answered:
            opening.answered = True
            self._group.answer(opening.descriptor, allow=allow)

    def _release(self, opening: Opening) -> None:
        self._open -= 1
        os.close(opening.descriptor)

    def _let_go(self, descriptor: int) -> None:
        self._group.answer(descriptor, allow=True)
        os.close(descriptor)


def _path_of(descriptor: int) -> str:
    """Return where a file lies; nothing for a path longer than the kernel tells, which no exclusion can mean."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - as cheap as can be: many times a second
    except OSError:
        return ""


def _nobody_writes(descriptor: int) -> bool:
    """Say whether nobody has the file open for writing: only then does the kernel grant a lease for reading.

    Somebody who has could change the file through memory without its times telling.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    return True
