"""What those who look for threats tell of themselves: the engine is down, too much at once, something left out."""

from __future__ import annotations

import msgspec

STEM = "notices"
"""Their place in the spool: ``notices.jsonl``."""


class Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One line of JSON in the spool."""

    at: str
    """Moment in UTC, RFC 3339."""
    source: str
    """Which program speaks."""
    kind: str
    """``engineDown``, ``engineUp``, ``overload``, ``overflow``, ``tooSlow``, ``suppressed``, ``fault`` …"""
    reason: str
    count: int = 1
