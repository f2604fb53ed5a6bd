"""Where a browser goes once it has signed in: back to a page of ours, never to anybody else's. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

OVERVIEW: Final = "/"
LONGEST_RETURN: Final = 4_096
_OUTSIDE: Final = frozenset(" \"'<>\\^`{|}")
"""Characters that no path of ours holds, and that browsers read in ways of their own: a backslash as a slash."""
_NOT_AGAIN: Final = ("/sign-in", "/sign-out")


def safe_return(wanted: str | None) -> str:
    """Return a path of ours as it was asked for, or the overview in place of anything else."""
    if not wanted or len(wanted) > LONGEST_RETURN or not wanted.isascii() or not wanted.isprintable():
        return OVERVIEW
    if not wanted.startswith("/") or wanted.startswith("//") or _OUTSIDE.intersection(wanted):
        return OVERVIEW
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return OVERVIEW
    if parts.scheme or parts.netloc or parts.path.startswith(_NOT_AGAIN):
        return OVERVIEW
    return wanted


def with_return(path: str, wanted: str) -> str:
    """Return an address of ours that remembers where to go from there."""
    return path if wanted == OVERVIEW else f"{path}?return={quote(wanted, safe='/')}"
