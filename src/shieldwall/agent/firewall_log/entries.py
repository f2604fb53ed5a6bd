"""A line of the log: what a rule noted, as JSON. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from shieldwall.agent.firewall_log.netlink import Note
from shieldwall.agent.firewall_log.packets import described

_WORDS: Final = ("zone", "direction", "action", "cause")
_encoder: Final = msgspec.json.Encoder()


def entry(note: Note, now: datetime) -> bytes:
    """Write one line.

    The words of the prefix say in which zone and direction it was, what was done (``drop``, ``accept``, or ``audit``
    for what would have been stopped) and why: the id of a rule, or ``default``, ``shielded`` and so on.
    """
    said: dict[str, Any] = {"time": now.isoformat(timespec="milliseconds")}
    said |= zip(_WORDS, note.prefix.split(), strict=False)
    said |= {"in": note.in_interface} if note.in_interface else {}
    said |= {"out": note.out_interface} if note.out_interface else {}
    said |= {"user": note.user} if note.user is not None else {}
    return _encoder.encode({**said, **described(note.packet)}) + b"\n"
