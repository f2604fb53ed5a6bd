"""What work is handed: how it says how far it is, hears that nobody wants it any more, and makes its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TextIO, TypeAlias

from shieldwall.contract.errors import ShieldwallError


class WorkCancelledError(ShieldwallError):
    """Somebody, or the end of the server, called the work off."""

    code = "workCancelled"
    remedy = "Start it again if you still want it."


@dataclass(frozen=True, slots=True)
class File:
    """A file that came of work; ``name`` is what browsers save it as."""

    path: Path
    name: str
    media_type: str

    def open(self) -> TextIO:
        """Open the file to write text into it, with the line ends as they are given."""
        return self.path.open("w", encoding="utf-8", newline="")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of ours that shows what came of work; ``path`` begins with a slash."""

    path: str


@dataclass(slots=True, eq=False)
class Progress:
    """How far a piece of work is. Its own thread alone changes it; anybody may read it at any time."""

    _place: Path
    done: int = 0
    total: int | None = None
    """How many steps there are; ``None`` while nobody knows."""
    _called_off: Event = field(default_factory=Event)

    def expect(self, total: int) -> None:
        """Say how many steps there will be."""
        self.total = total

    def advance(self, steps: int = 1) -> None:
        """Say that so many more steps are done; often, for here the work ends early. Raises: WorkCancelledError."""
        if self._called_off.is_set():
            raise WorkCancelledError("The work was called off.")
        self.done += steps

    def new_file(self, name: str, media_type: str) -> File:
        """Make the one file that this work may leave: open it, write to it, and return it in the end."""
        return File(self._place, name, media_type)

    def call_off(self) -> None:
        """Ask the work to end; it does at its next step."""
        self._called_off.set()


Run: TypeAlias = Callable[[Progress], File | Page]
"""A piece of work. It runs in a thread of its own, long after the request that started it, and opens its own
transactions, short ones: on SQLite a long read keeps the log from being taken up."""
