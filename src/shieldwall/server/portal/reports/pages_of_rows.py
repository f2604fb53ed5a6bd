"""Rows that were all read already, cut into pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from shieldwall.server.portal.policies.links import Asked

T = TypeVar("T")

ROWS: Final = 50
_LONGEST: Final = 6


def page_number(text: str) -> int:
    """Read the number of a page, 1 for the first; what is none is the first."""
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else 1


def cut(rows: Sequence[T], asked: Asked) -> tuple[Sequence[T], dict[str, Any]]:
    """Return the rows of the page that is asked for as ``page``, and what leads to the others."""
    number = page_number(asked["page"])
    start = (number - 1) * ROWS
    return rows[start : start + ROWS], {
        "row_count": len(rows),
        "next_page": asked.link(page=str(number + 1)) if start + ROWS < len(rows) else "",
        "first_page": asked.link(page="") if number > 1 else "",
    }
