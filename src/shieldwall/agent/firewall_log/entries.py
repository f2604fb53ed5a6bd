"""A line of the log: what a rule noted, as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from shieldwall.agent.firewall_log.netlink import Note
from shieldwall.agent.firewall_log.packets import described
from shieldwall.contract.kinds import learned

_WORDS: Final = ("zone", "direction", "action", "cause")
_NAME: Final = "# name "
_encoder: Final = msgspec.json.Encoder()


def names_in(script: str) -> dict[str, str]:
    """Read the names of rules by their ids from the head of the firewall's script; what is odd in it is left out."""
    names: dict[str, str] = {}
    for line in script.split("\n"):
        rule, _, name = line.removeprefix(_NAME).partition(" ")
        if line.startswith(_NAME):
            try:
                names[rule] = msgspec.json.decode(name, type=learned(str))
            except msgspec.DecodeError:
                continue
    return names


def entry(note: Note, now: datetime, names: Mapping[str, str]) -> bytes:
    """Write one line; ``names`` are those of rules by their ids.

    The words of the prefix say in which zone and direction it was, what was done (``drop``, ``accept``, or ``audit``
    for what would have been stopped) and why: the id of a rule, or ``default``, ``shielded`` and so on.
    """
    said: dict[str, Any] = {"time": now.isoformat(timespec="milliseconds")}
    said |= zip(_WORDS, note.prefix.split(), strict=False)
    said |= {"rule": names[said["cause"]]} if said.get("cause") in names else {}
    said |= {"in": note.in_interface} if note.in_interface else {}
    said |= {"out": note.out_interface} if note.out_interface else {}
    said |= {"user": note.user} if note.user is not None else {}
    return _encoder.encode({**said, **described(note.packet)}) + b"\n"
