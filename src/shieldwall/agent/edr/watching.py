"""From messages of the kernel to lines in the spool: little work for what nobody asked for, and a limit to all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct, field

from shieldwall.agent.detections.notices import Notice
from shieldwall.agent.edr.events import Assembler, AuditEvent
from shieldwall.agent.edr.findings import Counter, Finding, finding_of
from shieldwall.agent.edr.records import read_message
from shieldwall.agent.edr.rules import KEY, Rule, Surroundings, matching

SOURCE: Final = "edr"
RECORDS_PER_SECOND: Final = 2_000
"""Records that are read; what comes faster is left out, and told of."""
BURST: Final = 8_000
NOTICE_SECONDS: Final = 600.0
"""So often, at most, it is told that something was left out."""
_SYSCALL: Final = 1300
_CONFIG_CHANGE: Final = 1305
_OF_CALLS: Final = frozenset({1302, 1303, 1306, 1307, 1309, 1318, 1320, 1327, 1330, 1334})
"""Kinds that belong to a system call; the record of the call itself comes first."""
_OURS: Final = (KEY.encode(), KEY.encode().hex().upper().encode())


class Watch(Struct, kw_only=True):
    """Reads messages and says what was found."""

    rules: Sequence[Rule]
    around: Surroundings
    name_of: Callable[[int], str]
    """Finds the name of a user."""
    now: Callable[[], str]
    """The moment, as it stands in notices."""
    records_per_second: int = RECORDS_PER_SECOND
    _assembler: Assembler = field(default_factory=Assembler)
    _counter: Counter = field(default_factory=Counter)
    _skipped: bytes = b""
    """The serial number of the call whose records are nothing to us."""
    _changed: bytes = b""
    """The serial number of the last change of the audit system: the record of its call comes after it."""
    _room: float = BURST
    _filled: float = 0.0
    _left_out: int = 0
    _told: float = float("-inf")

    def take(self, messages: Iterable[tuple[int, bytes]], monotonic: float) -> list[Finding]:
        """Take messages; return what is to be told at once."""
        found: list[Finding] = []
        for kind, text in messages:
            if not self._wants(kind, text):
                continue
            if not self._has_room(monotonic):
                self._left_out += 1
                continue
            record = read_message(kind, text.decode("utf-8", "backslashreplace"))
            if record is not None:
                for event in self._assembler.add(record, monotonic):
                    found += self.look_at(event, monotonic)
        return found

    def tick(self, monotonic: float) -> list[Finding]:
        """Return what time alone makes whole: events whose end was lost, and counts of what repeated."""
        found = [each for event in self._assembler.expired(monotonic) for each in self.look_at(event, monotonic)]
        return [*found, *self._counter.due(monotonic)]

    def look_at(self, event: AuditEvent, monotonic: float) -> list[Finding]:
        """Hold an event against the rules."""
        told = (
            self._counter.take(finding_of(rule, event, self.name_of), monotonic)
            for rule in matching(self.rules, event, self.around)
        )
        return [finding for finding in told if finding is not None]

    def notices(self, lost: int, monotonic: float) -> tuple[list[Notice], bool]:
        """Say what was left out since the last time, and whether it was said now; ``lost`` is the kernel's count."""
        if monotonic - self._told < NOTICE_SECONDS:
            return [], False
        said: list[Notice] = []
        if lost:
            reason = "The kernel wrote down more than could be read in time."
            said.append(Notice(at=self.now(), source=SOURCE, kind="overflow", reason=reason, count=lost))
        if self._left_out:
            reason = f"More than {self.records_per_second} records of audit came in a second."
            said.append(Notice(at=self.now(), source=SOURCE, kind="overload", reason=reason, count=self._left_out))
        if self._counter.left_out:
            reason = "More was found than is told."
            left_out = self._counter.left_out
            said.append(Notice(at=self.now(), source=SOURCE, kind="suppressed", reason=reason, count=left_out))
        if not said:
            return [], False
        self._left_out = self._counter.left_out = 0
        self._told = monotonic
        return said, True

    def _wants(self, kind: int, text: bytes) -> bool:
        """Tell, by a look at its bytes, whether a record may matter: other rules of this machine may be loud."""
        if kind == _SYSCALL:
            if any(mark in text for mark in _OURS):
                self._skipped = b""
                return True
            if _serial(text) == self._changed:
                return True
            self._skipped = _serial(text)
            return False
        if kind in _OF_CALLS:
            return _serial(text) != self._skipped
        if kind == _CONFIG_CHANGE:
            self._changed = _serial(text)
            return True
        return False

    def _has_room(self, monotonic: float) -> bool:
        self._room = min(BURST, self._room + (monotonic - self._filled) * self.records_per_second)
        self._filled = monotonic
        if self._room < 1:
            return False
        self._room -= 1
        return True


def lines(documents: Iterable[msgspec.Struct]) -> list[bytes]:
    """Write documents as lines of the spool."""
    return [msgspec.json.encode(document) for document in documents]


def _serial(text: bytes) -> bytes:
    return text[: text.find(b")") + 1]
