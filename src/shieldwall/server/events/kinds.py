"""Kinds of events, ``area.whatHappened``, and the patterns by which receivers choose among them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from shieldwall.contract.errors import ShieldwallError

EVERYTHING: Final = "*"
MOST_PATTERNS: Final = 32
PING: Final = "webhook.ping"
"""Sent on demand, to see whether a receiver takes anything at all."""
MISSED: Final = "events.missed"
"""Sent first where events were forgotten before a receiver had them."""
_PATTERN: Final = re.compile(r"\*|[a-z][A-Za-z0-9]{0,63}\.(?:\*|[a-z][A-Za-z0-9]{0,63})")


class InvalidEventKindError(ShieldwallError):
    """A pattern of event kinds is none."""

    code = "invalidEventKind"
    remedy = (
        "Use '*', an area such as 'policy.*', 'device.*', 'alert.*', or a kind such as 'alert.raised'; at least one."
    )


def checked_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns, each once and in order. Raises: InvalidEventKindError."""
    wanted = tuple(sorted(set(patterns)))
    for each in wanted:
        if not _PATTERN.fullmatch(each):
            raise InvalidEventKindError(f"{each[:64]!r} is no kind of events.")
    if not 1 <= len(wanted) <= MOST_PATTERNS:
        raise InvalidEventKindError(f"There are {len(wanted)} kinds of events, and there must be 1 to {MOST_PATTERNS}.")
    return wanted


def matches(patterns: Collection[str], kind: str) -> bool:
    """Say whether a kind is one of those that the patterns choose."""
    return not {EVERYTHING, kind, kind.partition(".")[0] + ".*"}.isdisjoint(patterns)
