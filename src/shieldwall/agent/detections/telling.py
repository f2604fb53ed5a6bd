"""From lines of the spool to events as the server takes them. Pure; a line that means nothing gives nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from shieldwall.agent.detections import notices, spool
from shieldwall.agent.detections.model import Action, Detection
from shieldwall.agent.detections.notices import Notice
from shieldwall.agent.edr import findings
from shieldwall.agent.edr.findings import Finding, clean
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.events import (
    MAX_DETAIL,
    MAX_DETAILS,
    MAX_SUBJECT,
    MAX_TITLE,
    DeviceEvent,
    EventSeverity,
)
from shieldwall.contract.kinds import learned
from shieldwall.contract.strict_json import convert, encode

STEMS: Final = (findings.STEM, spool.STEM, notices.STEM)
"""The files of the spool that are told from, the most urgent first."""
_POTENTIALLY_UNWANTED: Final = "PUA."
_ACTIONS: Final[Mapping[Action, tuple[str, EventSeverity, str]]] = MappingProxyType(
    {
        Action.REPORTED: ("malware.found", EventSeverity.HIGH, "Malware was found and left where it is"),
        Action.BLOCKED: ("malware.blocked", EventSeverity.HIGH, "Malware was kept from being opened"),
        Action.QUARANTINED: ("malware.quarantined", EventSeverity.MEDIUM, "Malware was found and put into quarantine"),
        Action.FAILED: ("malware.notRemediated", EventSeverity.HIGH, "Malware was found and could not be dealt with"),
    }
)
_NOTICES: Final[Mapping[str, tuple[EventSeverity, str]]] = MappingProxyType(
    {
        "engineDown": (EventSeverity.HIGH, "What looks for threats does not answer"),
        "engineUp": (EventSeverity.INFORMATIONAL, "What looks for threats answers again"),
        "fault": (EventSeverity.MEDIUM, "What looks for threats met something unexpected"),
        "overflow": (EventSeverity.LOW, "More happened than could be looked at"),
        "overload": (EventSeverity.LOW, "More happened than could be looked at"),
        "suppressed": (EventSeverity.LOW, "More was found than is told one by one"),
        "tooSlow": (EventSeverity.LOW, "Looking at a file took too long"),
    }
)


def event_of(stem: str, line: bytes) -> DeviceEvent | None:
    """Return what a line of a file of the spool tells; its id follows from the line."""
    try:
        event = _MAKE[stem](line)
    except (msgspec.DecodeError, KeyError):
        return None
    plain = msgspec.structs.replace(
        event,
        id=hashlib.sha256(stem.encode() + b"\0" + line).hexdigest()[:32],
        title=clean(event.title)[:MAX_TITLE],
        subject=clean(event.subject)[:MAX_SUBJECT],
        details={
            name[:64]: clean(text)[:MAX_DETAIL]
            for name, text in [*event.details.items()][:MAX_DETAILS]
            if name and text
        },
    )
    try:  # as the server will read it: what it would refuse must not hold up the rest
        return convert(msgspec.to_builtins(plain), DeviceEvent)
    except InvalidJsonError:
        return None


def size_of(event: DeviceEvent) -> int:
    """Return how many bytes an event takes on its way."""
    return len(encode(event)) + 1


def _of_finding(line: bytes) -> DeviceEvent:
    found = msgspec.json.decode(line, type=learned(Finding))
    return DeviceEvent(
        id="",
        at=found.at,
        kind=found.kind,
        severity=found.severity,
        title=found.title,
        subject=found.subject,
        details=found.details,
        times=found.times,
    )


def _of_detection(line: bytes) -> DeviceEvent:
    found = msgspec.json.decode(line, type=learned(Detection))
    kind, severity, title = _ACTIONS[found.action]
    if found.threat.startswith(_POTENTIALLY_UNWANTED):
        severity = EventSeverity.LOW
    opener = found.opener
    known = {
        "path": found.path,
        "source": found.source.value,
        "engine": found.engine,
        "sha256": found.sha256 or "",
        "size": "" if found.size is None else str(found.size),
        "owner": "" if found.owner is None else str(found.owner),
        "scan": found.scan or "",
        "quarantine": found.quarantine or "",
        "executable": "" if opener is None else opener.executable or "",
        "user": "" if opener is None or opener.uid is None else str(opener.uid),
        "processId": "" if opener is None else str(opener.pid),
        "reason": found.reason,
    }
    return DeviceEvent(
        id="", at=found.at, kind=kind, severity=severity, title=title, subject=found.threat, details=known
    )


def _of_notice(line: bytes) -> DeviceEvent:
    found = msgspec.json.decode(line, type=learned(Notice))
    severity, title = _NOTICES.get(found.kind, (EventSeverity.LOW, "What looks for threats has something to say"))
    return DeviceEvent(
        id="",
        at=found.at,
        kind=f"engine.{found.kind}",
        severity=severity,
        title=title,
        subject=found.source,
        details={"reason": found.reason},
        times=max(1, found.count),
    )


_MAKE: Final[Mapping[str, Callable[[bytes], DeviceEvent]]] = MappingProxyType(
    {findings.STEM: _of_finding, spool.STEM: _of_detection, notices.STEM: _of_notice}
)
