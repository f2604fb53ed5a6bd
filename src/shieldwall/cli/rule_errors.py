"""Where a membership rule is wrong: the rule as it was written, with a mark under the character."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shieldwall.cli.graph_session import RefusedError
from shieldwall.cli.presentation import printable

_AROUND: Final = 60
"""Characters shown on either side of the place."""


def marked(rule: str, position: int) -> tuple[str, str]:
    """Return the part of a rule around a place, and a line that marks the place below it."""
    start, end = max(0, position - _AROUND), position + _AROUND
    before = ("\u2026" if start else "") + printable(rule[start:position])
    after = printable(rule[position:end]) + ("\u2026" if end < len(rule) else "")
    return before + after, " " * len(before) + "^"


@contextmanager
def pointing_at(rule: str | None) -> Iterator[None]:
    """Let a refusal of a rule show where in it the fault is."""
    try:
        yield
    except RefusedError as refusal:
        if rule is not None and refusal.position is not None:
            for line in marked(rule, refusal.position):
                refusal.add_note(line)
        raise
