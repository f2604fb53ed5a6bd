"""``clamd.conf``: what it says, and a block of our own in it. Pure.

clamd takes the *first* of several lines for one directive (only ``ExcludePath`` and a few others add up) and knows no
way to include another file. So our block stands at the very top: it wins over every line below, and no foreign line is
touched. Taking the block out gives the file back byte for byte.

One thing cannot be said by a line on top: that exclusions of others do not count. For that alone foreign lines are
turned off by a mark in front, and turned on again with it.

A file that holds our marks is by definition managed by us, so nothing has to be remembered elsewhere. clamd reads lines
into a buffer of 1024 bytes and takes the rest of a longer one, even of a comment, for another directive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from shieldwall.agent.providers.base import ProviderError

MAXIMUM_LINE_BYTES: Final = 1000
"""Longest line we write."""

BEGIN: Final = b"# >>> shieldwall: managed settings; changes inside are overwritten\n"
END: Final = b"# <<< shieldwall\n"
OFF: Final = b"#~shieldwall~ "

_BLOCK: Final = re.compile(rb"^" + re.escape(BEGIN) + rb"((?:.*\n)*?)" + re.escape(END), re.MULTILINE)
_EDGE: Final = re.compile(rb"^(?:" + re.escape(BEGIN) + rb"|" + re.escape(END) + rb")", re.MULTILINE)
_EXCLUDE_PATH: Final = re.compile(rb"^(?=[ \t]*ExcludePath[ \t])", re.MULTILINE)
_TURNED_OFF: Final = re.compile(rb"^" + re.escape(OFF), re.MULTILINE)
_DAMAGED: Final = "The block that Shieldwall wrote into clamd.conf has lost its first or last line."


def without_block(content: bytes) -> bytes:
    """Return the file as others wrote it. Raises: ProviderError when our block lost one of its ends."""
    if not is_managed(content):
        return content
    foreign = _BLOCK.sub(b"", content)
    if _EDGE.search(foreign):
        raise ProviderError(_DAMAGED, remedy="Remove the rest of the block from clamd.conf.")
    return _TURNED_OFF.sub(b"", foreign)


def with_block(foreign: bytes, lines: Sequence[bytes], *, only_ours: bool) -> bytes:
    """Put a block of ``lines`` on top of what others wrote; with ``only_ours`` their exclusions are turned off.

    A line that looks turned off although nobody manages the file gets a second mark, so that it comes back as it was.

    Raises:
        ProviderError: A line to be turned off would become too long for clamd.
    """
    marked = _TURNED_OFF.sub(OFF + OFF, foreign)
    if only_ours:
        marked = _EXCLUDE_PATH.sub(OFF, marked)
    if any(line.startswith(OFF) and len(line) > MAXIMUM_LINE_BYTES for line in marked.split(b"\n")):
        raise ProviderError("An ExcludePath line of clamd.conf is too long to be turned off.")
    return BEGIN + b"".join(line + b"\n" for line in lines) + END + marked


def is_managed(content: bytes) -> bool:
    """Say whether there is anything of our block in the file."""
    return _EDGE.search(content) is not None


def block(content: bytes) -> list[bytes] | None:
    """Return the lines of our block; ``None`` when there is none or it does not stand on top, where it counts."""
    found = _BLOCK.match(content)
    return None if found is None else found[1].split(b"\n")[:-1]


def foreign_exclusions(content: bytes) -> bool:
    """Say whether exclusions outside our block count."""
    return _EXCLUDE_PATH.search(_BLOCK.sub(b"", content)) is not None


def first(content: bytes, directive: str) -> str | None:
    """Return the argument that clamd takes for a directive, ``None`` when it is not given."""
    return next((argument for name, argument in _directives(content) if name == directive), None)


def first_path(content: bytes, directive: str) -> Path | None:
    """Return a directive's argument as a path of the system on which clamd itself runs."""
    argument = first(content, directive)
    return None if argument is None or not argument.startswith("/") else Path(argument)


def is_on(content: bytes, directive: str) -> bool:
    """Say whether a switch is given and on."""
    return (first(content, directive) or "").lower() in ("yes", "true", "1")


def _directives(content: bytes) -> Iterator[tuple[str, str]]:
    for raw in content.split(b"\n"):
        line = raw.decode("utf-8", "surrogateescape").strip(" \t\r")
        if not line.startswith("#"):
            name, _, argument = line.replace("\t", " ").partition(" ")
            yield name, argument.strip(" ").strip('"')
