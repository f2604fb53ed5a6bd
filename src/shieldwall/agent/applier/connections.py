"""One connection of the applier's socket, and what it may cost: bytes in, bytes out, and time. No system call here."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.protocol import HEADER, body_length

FRAME_SECONDS: Final = 15.0
"""From the first byte of a frame to its last, in either direction."""
IDLE_SECONDS: Final = 180.0
"""Between two frames; whoever wants to go on after that connects again."""


class Stage(Enum):
    """What a connection is about just now."""

    READING = auto()
    WORKING = auto()
    WRITING = auto()
    CLOSED = auto()


class Connection(Struct, kw_only=True, eq=False):
    """Frames of one asker: one request is answered before the next one is read."""

    asker: Asker
    opened: float
    stage: Stage = Stage.READING
    received: bytearray = field(default_factory=bytearray)
    waiting: memoryview = field(default_factory=lambda: memoryview(b""))
    """What is still to be written."""
    length: int | None = None
    """How long the frame is that is being read, once that is known."""
    since: float = 0.0
    """When the frame that is being read or written began, or the last one ended."""
    is_last: bool = False
    """Whether the connection ends with the answer that is being written."""

    def __post_init__(self) -> None:
        """Begin now."""
        self.since = self.opened

    @property
    def room(self) -> int:
        """How many bytes may be read: never more than the frame that is due, so nothing piles up."""
        if self.length is None:
            return HEADER.size - len(self.received)
        return self.length - len(self.received)

    @property
    def held(self) -> int:
        """How many bytes of memory the frame being read has been promised."""
        return 0 if self.length is None else self.length

    def feed(self, data: bytes, now: float) -> bytes | None:
        """Take in what arrived; returns a whole request. Raises: BadFrameError: the frame is none of ours."""
        if not self.received and self.length is None:
            self.since = now
        self.received += data
        if self.length is None:
            if len(self.received) < HEADER.size:
                return None
            self.length = body_length(bytes(self.received))
            self.received.clear()
            return None
        if len(self.received) < self.length:
            return None
        body = bytes(self.received)
        self.received.clear()
        self.length, self.stage, self.since = None, Stage.WORKING, now
        return body

    def answer(self, message: bytes, now: float, *, is_last: bool = False) -> None:
        """Begin to write an answer."""
        self.waiting, self.stage, self.since, self.is_last = memoryview(message), Stage.WRITING, now, is_last

    def wrote(self, count: int, now: float) -> None:
        """Note that so many bytes went out."""
        self.waiting = self.waiting[count:]
        if not self.waiting:
            self.stage, self.since = Stage.CLOSED if self.is_last else Stage.READING, now

    def seconds_left(self, now: float) -> float:
        """Say how long the other side may still take; for ever while we work: it waits, and we are the slow ones."""
        if self.stage is Stage.WORKING:
            return math.inf
        in_frame = self.stage is Stage.WRITING or self.length is not None or bool(self.received)
        return self.since + (FRAME_SECONDS if in_frame else IDLE_SECONDS) - now
