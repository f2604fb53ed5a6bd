"""Findings: what is told of an event that meets a rule, and how many of them at most. No I/O; time is handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct, field

from shieldwall.agent.edr.events import AuditEvent
from shieldwall.agent.edr.rules import Rule, subject_of
from shieldwall.contract.events import EventSeverity
from shieldwall.trust import moments

STEM: Final = "edr"
"""Their place in the spool: ``edr.jsonl``."""
AGAIN_SECONDS: Final = 300.0
"""The same thing within this time is counted, and told once more with its count."""
MOST_REMEMBERED: Final = 1_000
PER_MINUTE: Final = 60
"""Findings that are told; what is more is counted as left out."""
_LONGEST: Final = 1_024


class Finding(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """One line of JSON in the spool."""

    at: str
    """Moment in UTC, RFC 3339."""
    rule: str
    kind: str
    severity: EventSeverity
    title: str
    subject: str
    details: dict[str, str] = {}
    times: int = 1


def finding_of(rule: Rule, event: AuditEvent, name_of: Callable[[int], str]) -> Finding:
    """Say of an event what somebody has to know. ``name_of`` finds the name of a user. Pure otherwise."""
    known = {
        "rule": rule.id,
        "explanation": rule.explanation,
        "executable": event.executable,
        "command": event.command,
        "program": event.program,
        "processId": _text(event.pid),
        "parentProcessId": _text(event.parent),
        "user": "" if event.uid is None else name_of(event.uid),
        "effectiveUser": "" if event.effective_uid in {None, event.uid} else name_of(event.effective_uid or 0),
        "signedInAs": "" if event.login_uid is None else name_of(event.login_uid),
        "directory": event.directory,
        "path": _path(event),
        "target": event.target,
        "targetProcessId": _text(event.target_pid),
        "systemCall": event.call,
        "address": event.address if event.port is None else f"{event.address} port {event.port}",
        "operation": event.said.get("op", ""),
        "auditSerial": str(event.serial),
    }
    return Finding(
        at=moments.write_exactly(_moment(event.at)),
        rule=rule.id,
        kind=rule.kind,
        severity=rule.severity,
        title=rule.title,
        subject=clean(subject_of(rule, event))[:512],
        details={name: clean(text)[:_LONGEST] for name, text in known.items() if text},
    )


class _Seen(Struct):
    since: float
    finding: Finding
    more: int = 0


class Counter(Struct):
    """Lets through what is new, counts what repeats, and never lets through more than so many in a minute."""

    left_out: int = 0
    """How many were neither told nor counted with another one; whoever tells sets it back."""
    _seen: dict[tuple[str, ...], _Seen] = field(default_factory=dict)
    _minute: float = 0.0
    _told: int = 0

    def take(self, finding: Finding, now: float) -> Finding | None:
        """Return what is to be told of a finding at once, ``None`` where it is counted. ``now`` is monotonic."""
        name = (finding.rule, finding.subject, finding.details.get("executable", ""), finding.details.get("user", ""))
        if (seen := self._seen.get(name)) is not None and now - seen.since < AGAIN_SECONDS:
            seen.more += 1
            seen.finding = finding
            return None
        if now - self._minute >= 60:
            self._minute, self._told = now, 0
        if self._told >= PER_MINUTE or len(self._seen) >= MOST_REMEMBERED:
            self.left_out += 1
            return None
        self._told += 1
        self._seen[name] = _Seen(since=now, finding=finding)
        return finding

    def due(self, now: float) -> Iterator[Finding]:
        """Yield what repeated until now, with its count, and forget what is long ago."""
        for name in [name for name, seen in self._seen.items() if now - seen.since >= AGAIN_SECONDS]:
            seen = self._seen.pop(name)
            if seen.more:
                yield msgspec.structs.replace(seen.finding, times=seen.more)


def clean(text: str) -> str:
    """Return text that every reader takes: no NUL, no half of a character, no control characters."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in plain)


def _path(event: AuditEvent) -> str:
    """Name the file: of a program that starts the first, for its loader follows; else the last, the new name."""
    names = [path.name for path in event.paths if path.kind != "PARENT"]
    return "" if not names else names[0] if event.call in {"execve", "execveat"} else names[-1]


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _moment(at: float) -> datetime:
    try:
        return datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime(1970, 1, 1, tzinfo=UTC)
