"""A block of our own on top of a ClamAV configuration file that belongs to others. Pure.

ClamAV takes the *first* of several lines for one directive and adds up those that may be repeated, so a block on top
wins, and only repeated directives of others have to be turned off, by a mark in front of them. Taking the block and
the marks away gives the file back byte for byte. Lines end after 1024 bytes for ClamAV, so none of ours is longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from shieldwall.agent.providers.base import ProviderError

MAXIMUM_LINE_BYTES: Final = 1000
BEGIN: Final = b"# >>> shieldwall: managed settings; changes inside are overwritten\n"
END: Final = b"# <<< shieldwall\n"
OFF: Final = b"#~shieldwall~ "

_BLOCK: Final = re.compile(rb"^" + re.escape(BEGIN) + rb"((?:.*\n)*?)" + re.escape(END), re.MULTILINE)
_EDGE: Final = re.compile(rb"^(?:" + re.escape(BEGIN) + rb"|" + re.escape(END) + rb")", re.MULTILINE)
_TURNED_OFF: Final = re.compile(rb"^" + re.escape(OFF), re.MULTILINE)


class MarkedFile(Struct, frozen=True, kw_only=True):
    """One such file, by the name that errors call it."""

    name: str

    def without_block(self, content: bytes) -> bytes:
        """Return the file as others wrote it. Raises: ProviderError when our block lost one of its ends."""
        if not is_managed(content):
            return content
        foreign = _BLOCK.sub(b"", content)
        if _EDGE.search(foreign):
            raise ProviderError(
                f"The block that Shieldwall wrote into {self.name} has lost its first or last line.",
                remedy=f"Remove the rest of the block from {self.name}.",
            )
        return _TURNED_OFF.sub(b"", foreign)

    def with_block(self, foreign: bytes, lines: Sequence[bytes], *, turn_off: Iterable[str] = ()) -> bytes:
        """Put ``lines`` on top of what others wrote, whose directives named by ``turn_off`` no longer count.

        Raises:
            ProviderError: A line to be turned off would become too long.
        """
        marked = _TURNED_OFF.sub(OFF + OFF, foreign)
        if names := "|".join(map(re.escape, sorted(turn_off))):
            marked = re.sub(rb"^(?=[ \t]*(?:" + names.encode() + rb")[ \t])", OFF, marked, flags=re.MULTILINE)
        if any(line.startswith(OFF) and len(line) > MAXIMUM_LINE_BYTES for line in marked.split(b"\n")):
            raise ProviderError(f"A line of {self.name} is too long to be turned off.")
        return BEGIN + b"".join(line + b"\n" for line in lines) + END + marked


def is_managed(content: bytes) -> bool:
    """Say whether there is anything of our block in the file."""
    return _EDGE.search(content) is not None


def block(content: bytes) -> list[bytes] | None:
    """Return the lines of our block; ``None`` when there is none or it does not stand on top, where it counts."""
    found = _BLOCK.match(content)
    return None if found is None else found[1].split(b"\n")[:-1]


def outside(content: bytes) -> bytes:
    """Return what stands around our block, turned off lines as they are."""
    return _BLOCK.sub(b"", content)


def arguments(content: bytes, directive: str) -> tuple[str, ...]:
    """Return every argument given for a directive, in the order of the file."""
    found: list[str] = []
    for raw in content.split(b"\n"):
        line = raw.decode("utf-8", "surrogateescape").strip(" \t\r")
        name, _, argument = line.replace("\t", " ").partition(" ")
        if name == directive:
            found.append(argument.strip(" ").strip('"'))
    return tuple(found)
