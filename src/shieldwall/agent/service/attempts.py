"""Attempts to undo what is managed, waiting on disk until the server has heard of them.

Each is a file of its own, named after what was tried, so the same attempt over and over waits once, and the command
line can leave one beside a running agent. There are never more than one check-in can carry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from shieldwall.agent.service.disk import Disk
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.messages import TamperAttempt
from shieldwall.contract.strict_json import decode, digest_of_bytes, encode
from shieldwall.trust import moments

MOST_WAITING: Final = 64
_LONGEST_SUBJECT: Final = 512

AttemptKind: TypeAlias = Literal["settingChanged", "offboardRefused", "agentFileChanged", "protectionChanged"]


class Attempts(Struct, frozen=True, kw_only=True):
    """What is still to be told. Every method may raise ``HostError``."""

    directory: Path
    disk: Disk
    clock: Clock

    def note(self, kind: AttemptKind, subject: str) -> None:
        """Let the server hear of an attempt; where as many wait as can be sent, this one is not kept."""
        name = digest_of_bytes(f"{kind} {subject}".encode("utf-8", "replace"))[:32]
        waiting = self.disk.names(self.directory)
        if name not in waiting and len(waiting) >= MOST_WAITING:
            return
        attempt = TamperAttempt(
            at=moments.write(self.clock.now()), kind=kind, subject=subject[:_LONGEST_SUBJECT] or "unknown"
        )
        self.disk.write(self.directory / name, encode(attempt))

    def waiting(self) -> dict[str, TamperAttempt]:
        """Read what is to be told, by the name under which it waits; what cannot be read is dropped."""
        found: dict[str, TamperAttempt] = {}
        for name in self.disk.names(self.directory)[:MOST_WAITING]:
            content = self.disk.read(self.directory / name) or b""
            try:
                found[name] = decode(content, TamperAttempt)
            except InvalidJsonError:
                self.disk.remove(self.directory / name)
        return found

    def told(self, attempts: dict[str, TamperAttempt]) -> None:
        """Forget what the server has heard of, unless it was tried again since."""
        now = self.waiting()
        for name, attempt in attempts.items():
            if now.get(name) == attempt:
                self.disk.remove(self.directory / name)

    def forget(self) -> None:
        """Forget everything."""
        for name in self.disk.names(self.directory):
            self.disk.remove(self.directory / name)
