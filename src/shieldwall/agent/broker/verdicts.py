"""What was found in which file, remembered while file and definitions stay the same. Pure.

A file is known by its numbers, its size and its two times of change. The second (ctime) cannot be set by anybody, so
a file with other content has another name here, provided that nobody still has it open for writing and that its last
change is older than the clock's steps: only then may a verdict be remembered at all (``is_settled``).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Final, NamedTuple

from shieldwall.agent.broker.settings import Action, Settings

CLEAN: Final = ""
"""The name of no threat."""
LIFETIME_SECONDS: Final = 600.0
"""Longest that a verdict counts: a scanner that took new definitions unseen is asked again."""
UNSETTLED_SECONDS: Final = 180.0
"""So long after a change of definitions the scanner may still work with the old ones."""
UNSETTLED_LIFETIME_SECONDS: Final = 5.0
_CLOCK_STEP_SECONDS: Final = 0.05


class Key(NamedTuple):
    """A file in one state."""

    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> Key:
        """Name the file."""
        return cls(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


class Cache:
    """The newest verdicts, a bounded number of them. Times are of a monotonic clock, in seconds."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._verdicts: OrderedDict[Key, tuple[str, float]] = OrderedDict()
        self._settled_at = 0.0

    def __len__(self) -> int:
        """Say how many are remembered."""
        return len(self._verdicts)

    def find(self, key: Key, now: float) -> str | None:
        """Return the threat found in a file, ``CLEAN`` for none, ``None`` when it has to be asked for."""
        found = self._verdicts.get(key)
        if found is None:
            return None
        if now >= found[1]:
            del self._verdicts[key]
            return None
        self._verdicts.move_to_end(key)
        return found[0]

    def keep(self, key: Key, threat: str, now: float) -> None:
        """Remember a verdict."""
        lifetime = LIFETIME_SECONDS if now >= self._settled_at else UNSETTLED_LIFETIME_SECONDS
        self._verdicts[key] = (threat, now + lifetime)
        self._verdicts.move_to_end(key)
        if len(self._verdicts) > self._entries:
            self._verdicts.popitem(last=False)

    def forget(self, now: float) -> None:
        """Forget everything, because there are new definitions."""
        self._verdicts.clear()
        self._settled_at = now + UNSETTLED_SECONDS

    def resize(self, entries: int) -> None:
        """Hold another number of verdicts."""
        self._entries = entries
        while len(self._verdicts) > entries:
            self._verdicts.popitem(last=False)


def is_settled(key: Key, wall_clock: float) -> bool:
    """Say whether the next change of the file will show in its times."""
    return wall_clock - max(key.ctime_ns, key.mtime_ns) / 1e9 > _CLOCK_STEP_SECONDS


def action(settings: Settings, threat: str) -> Action:
    """Say what the settings want done about a threat of this name, whatever the mode."""
    if threat.startswith("PUA."):
        return settings.unwanted_applications
    if threat.startswith("Heuristics.Limits.Exceeded"):
        return settings.archive_bombs
    return "block"
