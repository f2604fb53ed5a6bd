"""What a program of the agent says about itself: one JSON object a line, nothing secret in it."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.trust import moments


class Lines(Protocol):
    """Where lines go: a stream, or the event log of Windows."""

    def write(self, line: str, /) -> int:
        """Write a line."""
        ...

    def flush(self) -> None:
        """Let nothing wait."""
        ...


class Journal(Struct, frozen=True, kw_only=True):
    """Writes events for the system's log to collect."""

    out: Lines
    clock: Clock

    def say(self, event: str, **facts: str | float | bool | list[str] | None) -> None:
        """Write one event."""
        line = {"time": moments.write(self.clock.now()), "event": event, **facts}
        self.out.write(encode(line).decode("utf-8") + "\n")
        self.out.flush()

    def trouble(self, event: str, error: ShieldwallError) -> None:
        """Write that something went wrong, and what can be done."""
        self.say(event, code=error.code, cause=error.cause, remedy=error.advice)
