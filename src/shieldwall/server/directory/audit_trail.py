"""What an event of the audit trail says, for people and for tools alike; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shieldwall.contract.strict_json import decode_any
from shieldwall.server.storage.records import AuditEvent

_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
_NAMES: Final = frozenset({"name", "title"})
_STATES: Final = frozenset({"before", "after"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One detail of an event: as it was, where that is recorded, and as it is now; ``None`` where there is none."""

    name: str
    before: Any = None
    after: Any = None


def details_of(event: AuditEvent) -> Mapping[str, Any]:
    """Read the details of an event."""
    details = decode_any(event.details.encode())
    return details if isinstance(details, dict) else {}


def name_in(details: Mapping[str, Any]) -> str:
    """Return what the details call the object; empty where they do not."""
    return str(details.get("name") or details.get("title") or "")


def changes_in(details: Mapping[str, Any]) -> Iterator[Change]:
    """Yield what changed: of a state before and one after what differs, else every detail as it is now."""
    before, after = details.get("before"), details.get("after")
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield Change(name=name, before=before.get(name), after=after.get(name))
    for name, value in details.items():
        if name not in _NAMES and not (name in _STATES and isinstance(value, dict)):
            yield Change(name=name, after=value)


def compared(earlier: Mapping[str, Any], details: Mapping[str, Any]) -> list[Change]:
    """Return what the details say otherwise than those of an earlier event of the same object, and what is new."""
    return [
        Change(name=name, before=earlier.get(name), after=value)
        for name, value in details.items()
        if earlier.get(name) != value
    ]


def apart(before: Sequence[Any], after: Sequence[Any]) -> tuple[list[Any], list[Any], int]:
    """Compare two lists: what only the first holds, what only the second holds, and how many both do."""
    gone = [each for each in before if each not in after]
    new = [each for each in after if each not in before]
    return gone, new, len(after) - len(new)


def in_words(activity: str) -> str:
    """Write an activity for people: ``device.tagsChanged`` → ``Device tags changed``."""
    words = [word.lower() for part in activity.split(".") for word in _WORD.findall(part)]
    return " ".join(words).capitalize()
