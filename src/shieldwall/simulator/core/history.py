"""The history of a simulation: one line for each thing that happened, and one digest of all of them.

Lines name devices by their numbers and hold nothing that is random by nature (keys, signatures, nonces), so the same
seed writes the same history, whatever the machine.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TextIO

from shieldwall.simulator.core.virtual_time import VirtualTime

_REMEMBERED = 40


@dataclass(slots=True)
class History:
    """Writes down what happens. ``out`` gets every line, where somebody wants to read them."""

    time: VirtualTime
    out: TextIO | None = None
    counts: Counter[str] = field(default_factory=Counter)
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, event: str, *about: object) -> None:
        """Write one line down; events of one name are counted."""
        self.counts[event] += 1
        line = f"{self.time.seconds:.3f} {event} {' '.join(map(str, about))}".rstrip()
        self._digest.update(line.encode() + b"\n")
        self.last.append(line)
        if self.out is not None:
            self.out.write(line + "\n")

    def digest(self) -> str:
        """Return the name of everything that happened."""
        return self._digest.hexdigest()
